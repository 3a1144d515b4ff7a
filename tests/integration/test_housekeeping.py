"""What is old is deleted, what is needed stays, and the disk stays flat."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.housekeeping import DELETED, prune
from autoops.models.registry import CHALLENGER, CHAMPION, PREVIOUS, TrainingRun
from autoops.months import Month
from autoops.settings import Settings
from autoops.storage import tables
from benchmarks.growth import Load, simulate
from tests.bundles import small_training_run
from tests.integration.one_process import context_in, setting


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return small_training_run(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    built = context_in(tmp_path, settings, engine)
    return setting(built, "storage", home=tmp_path, reports_days=10, versions_days=10, months_kept=2)


def train(context: Context, training: TrainingRun, *, incident: int | None = None) -> int:
    number = context.registry.register(training).number
    context.ledger.record("trained", "", actor="test", incident_id=incident, model_version=number)
    return number


def promote(context: Context, number: int) -> None:
    champion = context.registry.by_alias(CHAMPION)
    if champion:
        context.registry.set_alias(PREVIOUS, champion.number)
    context.registry.set_alias(CHAMPION, number)
    context.ledger.record("promoted", "", actor="test", model_version=number)


def numbers(context: Context) -> list[int]:
    return sorted(version.number for version in context.registry.versions())


def test_old_versions_go_but_for_those_that_somebody_needs(context: Context, training: TrainingRun) -> None:
    for number in (1, 2, 3):
        assert train(context, training) == number
        promote(context, number)
    incident = context.ledger.open_incident("drift", "slower", actor="test")
    assert [train(context, training, incident=incident), train(context, training), train(context, training)] == [
        4,
        5,
        6,
    ]
    assert context.registry.register(training).number == 7, "of which the ledger knows nothing"
    context.registry.set_alias(CHALLENGER, 6)
    prune(context)
    assert numbers(context) == [1, 2, 3, 4, 5, 6, 7]
    context.clock.advance(days=11)  # type: ignore[attr-defined]
    prune(context)
    assert numbers(context) == [2, 3, 4, 6, 7], "previous, champion, of an open incident, challenger, and a foreign one"
    assert [entry.model_version for entry in context.ledger.entries(kind=DELETED)] == [5, 1]
    assert len(context.ledger.entries(model_version=1)) == 3, "trained, promoted, deleted"


def test_a_version_that_was_champion_lately_stays_however_old_it_is(context: Context, training: TrainingRun) -> None:
    for number in (1, 2, 3):
        promote(context, train(context, training))
        if number == 1:
            context.clock.advance(days=20)  # type: ignore[attr-defined]
    context.registry.set_alias(CHALLENGER, 3)
    prune(context)
    assert numbers(context) == [1, 2, 3], "version 1 was replaced just now"
    context.clock.advance(days=11)  # type: ignore[attr-defined]
    prune(context)
    assert numbers(context) == [2, 3]


def test_reports_alerts_and_idle_checks_go_and_the_newest_check_stays(context: Context) -> None:
    now = context.clock.now()
    ends = {"last_prediction_id": None, "last_label_id": None, "event_from": None, "event_until": None, "report": {}}
    for verdict in ("no drift", "no new data", "no new data"):
        context.checks.append(model_version=1, verdict=verdict, alarm=False, reason="", **ends)
    for day in (0, 20):
        (context.reports / f"check-v1-{now + timedelta(days=day):%Y%m%dT%H%M%S}").mkdir(parents=True)
    context.instances.beat("gone", 1, now, now)
    context.ledger.record("page", "somebody", actor="test")
    told = {
        "ledger_id": 1,
        "queued_at": now,
        "event": "page",
        "urgency": "info",
        "title": "",
        "body": "",
        "failures": 0,
    }
    with context.log.engine.begin() as connection:
        connection.execute(sa.insert(tables.alerts).values(**told, settled_at=now))
        connection.execute(sa.insert(tables.deliveries).values(alert_id=1, receiver="slack", told_at=now))
    context.clock.advance(days=25)  # type: ignore[attr-defined]
    context.instances.beat("alive", 1, context.clock.now(), context.clock.now())
    swept = {one.what: one.deleted for one in prune(context)}
    assert [check.verdict for check in context.checks.latest(limit=None)] == ["no new data", "no drift"]
    assert [folder.name[-15:-7] for folder in context.reports.iterdir()] == [f"{now + timedelta(days=20):%Y%m%d}"]
    assert (swept["alerts"], swept["API instances"], swept["checks that judged nothing"]) == (1, 1, 1)


def test_nothing_goes_where_the_settings_are_null(context: Context) -> None:
    keys = ("retention_days", "reports_days", "versions_days", "months_kept")
    assert prune(setting(context, "storage", **dict.fromkeys(keys))) == []


def test_disk_is_flat_after_the_retention(settings: Settings, tmp_path: Path) -> None:
    """Two retention periods of days with everything that grows, in small."""
    kept = {"retention_days": 6, "reports_days": 6, "versions_days": 6, "months_kept": 2, "airflow_days": 6}
    storage = settings.storage.model_copy(update={"home": tmp_path / "home", "url": None, **kept})
    load = Load(
        predictions=40, checks=4, page=4_000, version_every_days=1, version=9_000, month_every_days=2, month=500
    )
    days = simulate(settings.model_copy(update={"storage": storage}), 20, load)
    first, last = days[9], days[-1]
    assert days[4]["MLflow: models"] < first["MLflow: models"], "it grew before"
    for kind in ("reports", "MLflow: reports", "MLflow: models", "months", "logs of Airflow"):
        assert last[kind] == first[kind] > 0, kind
    assert last["rows and ledger"] <= 1.15 * first["rows and ledger"]


def test_a_deleted_month_is_unknown(context: Context) -> None:
    context.store.delete(Month(2023, 1))
    assert context.store.months() == []
