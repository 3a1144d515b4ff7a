"""Real bookings of two hotels, which this repository has no copy of, through the loop: train, gate, promote, watch."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import DirectorySource
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.models.registry import champion_of
from autoops.models.scoring import load_version
from autoops.settings import Settings, load_settings
from autoops.storage.predictions import LogSelection
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecases.hotel.prepare import prepare
from tests.integration.one_process import context_in, retrain

BOOKINGS = os.environ.get("AUTOOPS_HOTEL_DIR")
pytestmark = pytest.mark.skipif(BOOKINGS is None, reason="AUTOOPS_HOTEL_DIR names no folder of real bookings")


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each month of arrival."""
    folder = tmp_path_factory.mktemp("hotel")
    rows = prepare(pq.read_table(Path(str(BOOKINGS)) / "hotel_bookings.parquet")).to_pandas()
    for month, some in rows.groupby(rows["arrival"].dt.strftime("%Y-%m")):
        some.to_parquet(folder / f"hotel_bookings_{month}.parquet", index=False)
    return folder


@pytest.fixture
def context(months: Path, settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    path = tmp_path / "config.yaml"
    path.write_text("usecase: hotel\ndrift: {source: months}\ntraining: {holdout_days: 14}\n")
    declared = load_settings(path).model_copy(update={"storage": settings.storage})
    built = context_in(tmp_path, declared, engine)
    source = DirectorySource(tmp_path / "published", declared.contract.source.files)
    return replace(built, source=source, store=MonthStore(tmp_path / "months", cleaner_of(declared.contract)))


@pytest.fixture
def publish(months: Path, tmp_path: Path) -> Callable[[str], None]:
    def publish(month: str) -> None:
        name = f"hotel_bookings_{month}.parquet"
        (tmp_path / "published" / name).write_bytes((months / name).read_bytes())

    return publish


def test_it_goes_from_files_to_a_champion_that_is_watched(context: Context, publish: Callable[[str], None]) -> None:
    for month in ("2015-10", "2015-11", "2015-12"):
        publish(month)
    first = retrain(context, "first", reason="first model")
    assert first["promoted"], first

    champion = champion_of(context.registry)
    publish("2016-01")
    ingested = context.store.ingest(context.source, context.source.published()[-1])
    assert ingested.kept_share > 0.99
    rows = context.store.load([ingested.month])
    scorer = load_version(context.registry, champion, context.model_cache)
    predicted, truth = scorer.predict_rows(columns_of(rows)), rows[TARGET].to_numpy()
    known = context.store.load(context.source.published()[:3])
    simple, numbers = LogisticRegression(max_iter=1000), ["lead_time", "adr", "previous_cancellations"]
    scale = known[numbers].std()
    simple.fit(known[numbers] / scale, known[TARGET])
    rival = simple.predict_proba(rows[numbers] / scale)[:, 1]
    base = np.full(len(truth), known[TARGET].mean())
    assert roc_auc_score(truth, predicted) > roc_auc_score(truth, rival) > 0.5
    assert log_loss(truth, predicted) < log_loss(truth, base)

    found = drift_check.check(context)
    assert found["verdict"] in ("drift", "no drift")
    (check, *_) = context.checks.latest(limit=5)
    assert {result["feature"] for result in check.report["features"]} == {*context.contract.features}
    logged = context.log.labelled_by_request(
        [row.request_id for row in context.log.latest(LogSelection(champion.number, "2016-01"), 10)]
    )
    assert {row.target for row in logged.values()} <= {0.0, 1.0}
    told = [check.reason, *explained(context), str(first["reason"])]
    assert not [text for text in told if "trip" in text or "minutes" in text or " min " in text]


def explained(context: Context) -> list[str]:
    """What is told of the first retraining."""
    return [entry.reason for entry in context.ledger.entries()]
