"""Real bookings of two hotels, which this repository has no copy of, through the loop: train, gate, promote, watch."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from autoops.backtest.published import PublishedSoFar
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.loop.data.scored_months import score
from autoops.loop.monitor import drift_check
from autoops.models.registry import champion_of
from autoops.models.scoring import load_version
from autoops.months import Month
from autoops.settings import Data, Settings, load_settings
from autoops.storage.predictions import LogSelection
from autoops.usecase import declaration
from autoops.usecase.columns import TARGET, columns_of
from tests.integration.one_process import context_in, retrain

BOOKINGS = os.environ.get("AUTOOPS_HOTEL_DIR")
pytestmark = pytest.mark.skipif(BOOKINGS is None, reason="AUTOOPS_HOTEL_DIR names no folder of real bookings")


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    path = tmp_path / "config.yaml"
    sections = f"data: {{source: {BOOKINGS}}}\ndrift: {{source: months}}\ntraining: {{holdout_days: 14}}\n"
    path.write_text(f"usecase: hotel\n{sections}")
    declared = load_settings(path).model_copy(update={"storage": settings.storage})
    built = context_in(tmp_path, declared, engine)
    source = PublishedSoFar(open_source(declared.data, declared.contract), Month(2015, 7), Month(2015, 9))
    return replace(built, source=source, store=MonthStore(tmp_path / "months", cleaner_of(declared.contract)))


def test_every_month_of_the_published_table_is_clean_but_for_two_impossible_rates(tmp_path: Path) -> None:
    contract = declaration.load("hotel")
    source = open_source(Data(source=str(BOOKINGS)), contract)
    store = MonthStore(tmp_path, cleaner_of(contract))
    read = [store.ingest(source, month) for month in source.published()]
    assert [read[0].month, read[-1].month, len(read)] == [Month(2015, 7), Month(2017, 8), 26]
    assert sum(month.rows_read for month in read) == 119_390
    assert [month.dropped for month in read if month.dropped] == [{"adr impossible": 1}] * 2


def test_it_goes_from_the_table_to_a_champion_that_is_watched(context: Context) -> None:
    first = retrain(context, "first", reason="first model")
    assert first["promoted"], first

    champion = champion_of(context.registry)
    assert isinstance(context.source, PublishedSoFar)
    context.source.publish(Month(2015, 10))
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
    # Probabilities near 0 and 1 are clipped before their loss is taken.
    assert score(context, ingested.month)["loss"] == pytest.approx(log_loss(truth, np.clip(predicted, 1e-3, 1 - 1e-3)))

    found = drift_check.check(context)
    assert found["verdict"] in ("drift", "no drift")
    (check, *_) = context.checks.latest(limit=5)
    assert {result["feature"] for result in check.report["features"]} == {*context.contract.features}
    logged = context.log.labelled_by_request(
        [row.request_id for row in context.log.latest(LogSelection(champion.number, "2015-10"), 10)]
    )
    assert {row.target for row in logged.values()} <= {0.0, 1.0}
    told = [check.reason, *explained(context), str(first["reason"])]
    assert not [text for text in told if "trip" in text or "minutes" in text or " min " in text]


def explained(context: Context) -> list[str]:
    """What is told of the first retraining."""
    return [entry.reason for entry in context.ledger.entries()]
