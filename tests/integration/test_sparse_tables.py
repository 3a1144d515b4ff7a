"""Tables of one row an hour, and of one each half hour, through the loop with the shipped configuration."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest

from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import DirectorySource
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.months import Month, parse_months
from autoops.settings import Settings, load_settings
from autoops.storage import database
from tests import sparse_worlds
from tests.conftest import configured
from tests.integration.one_process import context_in, retrain

DECLARED = Path(__file__).parent.parent / "usecases"
BEGIN, MONTHS, CHANGES = "2022-09", 12, "2023-07-01"
"""Nine months to train on, and one as before; what follows the change is not looked at here."""

HISTORY = parse_months("2022-09..2023-05")

SET = """
drift: {source: months}
training: {holdout_days: 14}
model: {parameters: {n_estimators: 25, min_samples_leaf: 5, n_jobs: 1, random_state: 7}}
"""
"""A small model, and what the gate of a noisy table needs to see that it is better than a base rate."""


@dataclass(frozen=True)
class Table:
    name: str
    rows: pd.DataFrame
    time: str


@pytest.fixture(scope="module", params=["bikes", "market"])
def table(request: pytest.FixtureRequest) -> Table:
    if request.param == "bikes":
        return Table("bikes", sparse_worlds.bikes(BEGIN, MONTHS, CHANGES), "datetime")
    return Table("market", sparse_worlds.market(BEGIN, MONTHS, CHANGES), "begins_at")


@pytest.fixture(scope="module")
def context(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp(table.name)
    path = folder / "config.yaml"
    path.write_text(f"usecase: {DECLARED / table.name}{SET}")
    with configured({"storage.home": folder / "var"}) as shipped:
        settings: Settings = load_settings(path).model_copy(update={"storage": shipped.storage})
        engine = database.connect(settings)
        database.upgrade(engine)
        built = context_in(folder, settings, engine)
        source = DirectorySource(folder / "published", settings.contract.source.files)
        store = MonthStore(folder / "months", cleaner_of(settings.contract))
        yield replace(built, source=source, store=store, draws_pages=True)
        engine.dispose()


def publish(context: Context, table: Table, *months: str) -> None:
    """Publish these months as files, and let half a day pass."""
    month_of = table.rows[table.time].dt.strftime("%Y-%m")
    for month in months:
        path = context.source.path_of(Month.parse(month))
        assert path is not None
        table.rows[month_of == month].to_parquet(path, index=False)
    context.clock.advance(hours=12)


def test_a_stranger_gets_from_files_to_a_model_that_is_watched(context: Context, table: Table) -> None:
    publish(context, table, *map(str, HISTORY))
    first = retrain(context, "first", reason="first model")
    assert first["promoted"], first["reason"]

    publish(context, table, "2023-06")
    before = drift_check.check(context)
    assert len(before["windows"]) == 3
    assert {window["verdict"] for window in before["windows"]} <= {"drift", "no drift"}
