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
from autoops.loop.monitor import drift_check, preview
from autoops.loop.promote.post_promotion import OVER
from autoops.loop.reports import overview
from autoops.loop.reports.explain import explain
from autoops.loop.reports.report import page
from autoops.models.registry import champion_of
from autoops.months import Month
from autoops.settings import Settings, load_settings
from autoops.storage import database
from autoops.storage.predictions import Label
from autoops.usecase.columns import TARGET
from tests import sparse_worlds
from tests.conftest import configured
from tests.integration.one_process import answers, context_in, retrain, setting

DECLARED = Path(__file__).parent.parent / "usecases"
BEGIN, MONTHS, CHANGES = "2023-03", 6, "2023-07-01"
"""Three months to train on, one as before, one since the change, and one to serve."""


@dataclass(frozen=True)
class Table:
    name: str
    rows: pd.DataFrame
    time: str
    rows_per_week: int


@pytest.fixture(scope="module", params=["bikes", "market"])
def table(request: pytest.FixtureRequest) -> Table:
    if request.param == "bikes":
        return Table("bikes", sparse_worlds.bikes(BEGIN, MONTHS, CHANGES), "datetime", 168)
    return Table("market", sparse_worlds.market(BEGIN, MONTHS, CHANGES), "begins_at", 336)


@pytest.fixture(scope="module")
def context(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp(table.name)
    path = folder / "config.yaml"
    path.write_text(f"usecase: {DECLARED / table.name}\ndrift: {{source: months}}\n")
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


def test_a_stranger_gets_from_files_to_a_model_that_is_replaced_when_the_world_changes(
    context: Context, table: Table
) -> None:
    publish(context, table, "2023-03", "2023-04", "2023-05")
    first = retrain(context, "first", reason="first model")
    assert first["promoted"], first["reason"]

    publish(context, table, "2023-06")
    before = drift_check.check(context)
    assert len(before["windows"]) == 3
    assert {window["verdict"] for window in before["windows"]} <= {"drift", "no drift"}
    old = champion_of(context.registry)

    publish(context, table, "2023-07")
    found = drift_check.check(context)
    incident = found["actionable"][0]
    second = retrain(context, "second", incident_id=incident)
    assert second["promoted"], second["reason"]
    assert champion_of(context.registry).number > old.number
    # All there is, as it is less than a year: three months say too little of a season.
    assert champion_of(context.registry).tags["training_months"] == "2023-03,2023-04,2023-05,2023-06,2023-07"
    told = page(explain(context, incident))
    assert "trip" not in told.lower()
    assert f"the {context.contract.row}" in told or context.contract.target.told in told

    # What every person sees: one screen, what a check would do now, and the page of the last check.
    state = overview.sentences(overview.overview(context))
    blind = champion_of(context.registry).tags["blind_to"]
    assert any(line.startswith("blind ") and blind in line for line in state) == bool(blind)
    assert preview.sentences(preview.preview(context))


def test_its_live_traffic_is_judged_week_by_week(context: Context, table: Table) -> None:
    live = setting(context, "drift", source="log")
    publish(live, table, "2023-08")
    month = live.source.published()[-1]
    rows = live.store.load([live.store.ingest(live.source, month).month])
    judged, coverage = [], None
    for _, day in rows.groupby(rows["event_at"].dt.floor("D")):
        live.clock.advance(hours=24)
        logged = answers(live, day)
        live.log.append(logged)
        truth = zip(logged, day[TARGET], strict=True)
        live.log.attach([Label(float(value), prediction_id=row.id) for row, value in truth], live.clock.now())
        found = drift_check.check(live)
        if found["verdict"] in ("drift", "no drift"):
            (check, *_) = live.checks.latest(limit=1)
            judged.append(check)
            coverage = check.report.get("coverage") or coverage
    assert len(judged) == 4
    assert {check.report["labelled_rows"] for check in judged} == {table.rows_per_week}
    # Label coverage is known from the second week on, and the new champion was compared with the one before.
    assert coverage is not None
    assert coverage["share"] == 1
    assert [entry for entry in live.ledger.entries() if entry.kind in (OVER, "compared with previous")]
