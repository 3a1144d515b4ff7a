"""What is old is deleted, what is needed stays, and the disk stays flat."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Pipeline
from autoops.loop.housekeeping import DELETED, prune
from autoops.models.registry import CHALLENGER, CHAMPION, PREVIOUS, TrainingRun
from autoops.months import Month
from autoops.settings import Settings
from autoops.storage import tables
from benchmarks.growth import Load, simulate
from tests.bundles import small_training_run
from tests.integration.one_process import pipeline_in, setting


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return small_training_run(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def pipeline(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Pipeline:
    built = pipeline_in(tmp_path, settings, engine)
    return setting(built, "storage", home=tmp_path, reports_days=10, versions_days=10, months_kept=2)


def train(pipeline: Pipeline, training: TrainingRun, *, incident: int | None = None) -> int:
    number = pipeline.registry.register(training).number
    pipeline.ledger.record("trained", "", actor="test", incident_id=incident, model_version=number)
    return number


def promote(pipeline: Pipeline, number: int) -> None:
    champion = pipeline.registry.by_alias(CHAMPION)
    if champion:
        pipeline.registry.set_alias(PREVIOUS, champion.number)
    pipeline.registry.set_alias(CHAMPION, number)
    pipeline.ledger.record("promoted", "", actor="test", model_version=number)


def numbers(pipeline: Pipeline) -> list[int]:
    return sorted(version.number for version in pipeline.registry.versions())


def test_old_versions_go_but_for_those_that_somebody_needs(pipeline: Pipeline, training: TrainingRun) -> None:
    for number in (1, 2, 3):
        assert train(pipeline, training) == number
        promote(pipeline, number)
    incident = pipeline.ledger.open_incident("drift", "slower", actor="test")
    assert [train(pipeline, training, incident=incident), train(pipeline, training), train(pipeline, training)] == [
        4,
        5,
        6,
    ]
    assert pipeline.registry.register(training).number == 7, "of which the ledger knows nothing"
    pipeline.registry.set_alias(CHALLENGER, 6)
    prune(pipeline)
    assert numbers(pipeline) == [1, 2, 3, 4, 5, 6, 7]
    pipeline.clock.advance(days=11)  # type: ignore[attr-defined]
    prune(pipeline)
    assert numbers(pipeline) == [2, 3, 4, 6, 7], (
        "previous, champion, of an open incident, challenger, and a foreign one"
    )
    assert [entry.model_version for entry in pipeline.ledger.entries(kind=DELETED)] == [5, 1]
    assert len(pipeline.ledger.entries(model_version=1)) == 3, "trained, promoted, deleted"


def test_a_version_that_was_champion_lately_stays_however_old_it_is(pipeline: Pipeline, training: TrainingRun) -> None:
    for number in (1, 2, 3):
        promote(pipeline, train(pipeline, training))
        if number == 1:
            pipeline.clock.advance(days=20)  # type: ignore[attr-defined]
    pipeline.registry.set_alias(CHALLENGER, 3)
    prune(pipeline)
    assert numbers(pipeline) == [1, 2, 3], "version 1 was replaced just now"
    pipeline.clock.advance(days=11)  # type: ignore[attr-defined]
    prune(pipeline)
    assert numbers(pipeline) == [2, 3]


def test_reports_alerts_and_idle_checks_go_and_the_newest_check_stays(pipeline: Pipeline) -> None:
    now = pipeline.clock.now()
    ends = {"last_prediction_id": None, "last_label_id": None, "event_from": None, "event_until": None, "report": {}}
    for verdict in ("no drift", "no new data", "no new data"):
        pipeline.checks.append(model_version=1, verdict=verdict, alarm=False, reason="", **ends)
    for day in (0, 20):
        (pipeline.reports / f"check-v1-{now + timedelta(days=day):%Y%m%dT%H%M%S}").mkdir(parents=True)
    pipeline.instances.beat("gone", 1, now, now)
    pipeline.ledger.record("page", "somebody", actor="test")
    told = {
        "ledger_id": 1,
        "queued_at": now,
        "event": "page",
        "urgency": "info",
        "title": "",
        "body": "",
        "failures": 0,
    }
    with pipeline.log.engine.begin() as connection:
        connection.execute(sa.insert(tables.alerts).values(**told, settled_at=now))
        connection.execute(sa.insert(tables.deliveries).values(alert_id=1, receiver="slack", told_at=now))
    pipeline.clock.advance(days=25)  # type: ignore[attr-defined]
    pipeline.instances.beat("alive", 1, pipeline.clock.now(), pipeline.clock.now())
    swept = {one.what: one.deleted for one in prune(pipeline)}
    assert [check.verdict for check in pipeline.checks.latest(limit=None)] == ["no new data", "no drift"]
    assert [folder.name[-15:-7] for folder in pipeline.reports.iterdir()] == [f"{now + timedelta(days=20):%Y%m%d}"]
    assert (swept["alerts"], swept["API instances"], swept["checks that judged nothing"]) == (1, 1, 1)


def test_nothing_goes_where_the_settings_are_null(pipeline: Pipeline) -> None:
    keys = ("retention_days", "reports_days", "versions_days", "months_kept")
    assert prune(setting(pipeline, "storage", **dict.fromkeys(keys))) == []


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


def test_a_deleted_month_is_unknown(pipeline: Pipeline) -> None:
    pipeline.store.delete(Month(2023, 1))
    assert pipeline.store.months() == []
