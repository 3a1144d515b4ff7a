"""A real scheduler, real asset events, a real MLflow server. One set of services for all tests of this file."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psutil
import pytest

from autoops import bootstrap, services
from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.models.registry import champion_of
from autoops.months import Month, parse_months
from autoops.services.airflow import AirflowClient, DagRun
from autoops.services.health import airflow_client
from autoops.settings import Settings
from autoops.usecases.taxi.clean import clean
from tests.conftest import configured
from tests.dags.conftest import SMALL
from tests.dags.instance import an_instance
from tests.eventually import eventually
from tests.integration.one_process import answers
from tests.ports import free_ports

pytestmark = pytest.mark.system

CHECKS_EVERY_S = 5
NEXT_MONTH = Month(2022, 4)


wait_for = partial(eventually, within_s=450, every_s=0.5)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, world: Path) -> Path:
    directory = tmp_path_factory.mktemp("published")
    for month in parse_months("2022-01..2022-03"):
        shutil.copy(world / file_name(month), directory)
    return directory


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Iterator[Settings]:
    ports = free_ports(2)
    changes = {
        **SMALL,
        "storage.home": tmp_path_factory.mktemp("home"),
        "data.source": published,
        "drift.check_interval_s": CHECKS_EVERY_S,
        "airflow.port": ports[0],
        "mlflow.tracking_uri": f"http://127.0.0.1:{ports[1]}",
    }
    with configured(changes) as settings:
        services.up(settings, without=["api", "exporter", "console"])
        yield settings
        services.down(settings)


@pytest.fixture(scope="module")
def context(running: Settings) -> Iterator[Context]:
    built = bootstrap.context(running)
    with an_instance(built):
        yield built


@pytest.fixture(scope="module")
def airflow(running: Settings) -> Iterator[AirflowClient]:
    with airflow_client(running) as client:
        yield client


@pytest.fixture(scope="module")
def incident(context: Context) -> int:
    return context.ledger.open_incident("drift", "a planted alarm", actor="test")


@pytest.fixture(scope="module")
def triggered(airflow: AirflowClient, context: Context, incident: int) -> list[DagRun]:
    """The runs that three events for one incident led to, oldest first."""
    (asset,) = airflow.call("GET", "/api/v2/assets?uri_pattern=autoops")["assets"]
    for _ in range(3):
        airflow.call("POST", "/api/v2/assets/events", {"asset_id": asset["id"], "extra": {"incident_id": incident}})
        before = len(airflow.runs("retrain"))
        wait_for(lambda before=before: len(airflow.runs("retrain")) > before or before >= 3)
    wait_for(lambda: all(run.finished for run in airflow.runs("retrain")))
    return airflow.runs("retrain")[::-1]


def test_three_alarms_for_one_incident_are_one_training(
    triggered: list[DagRun], airflow: AirflowClient, context: Context, incident: int
) -> None:
    assert [(run.run_type, run.state) for run in triggered] == [("asset_triggered", "success")] * 3
    first, *others = [airflow.task_states("retrain", run.run_id) for run in triggered]
    assert first.pop("record_failure") == "skipped"
    assert set(first.values()) == {"success"}
    assert all(set(states.values()) == {"skipped"} for states in others)

    assert [version.number for version in context.registry.versions()] == [1]
    assert champion_of(context.registry).number == 1
    assert len(context.ledger.entries(incident_id=incident, kind="trained")) == 1
    assert context.ledger.incident(incident).status == "closed"


def test_the_lines_of_its_tasks_name_the_incident(triggered: list[DagRun], running: Settings, incident: int) -> None:
    """Airflow's own, too, and the ledger's with the version that they are about."""
    folder = running.storage.home / "logs" / "airflow" / "dag_id=retrain" / f"run_id={triggered[0].run_id}"
    for task in ("begin", "ingest", "train", "gate", "promote", "close"):
        written = (folder / f"task_id={task}" / "attempt=1.log").read_text().splitlines()
        said = {line["event"].partition(":")[0].partition(".")[0]: line for line in map(json.loads, written)}
        assert said["Done"]["incident_id"] == incident, task
        if task in ("gate", "promote"):
            line = said["gate" if task == "gate" else "promoted"]
            assert (line["logger"], line["incident_id"]) == ("autoops.loop.records.ledger", incident)
            assert line["model_version"] == 1


def test_no_alarm_no_run(triggered: list[DagRun], airflow: AirflowClient, context: Context, world: Path) -> None:
    """A steady window comes in; a scheduled check judges it."""
    context.log.append(answers(context, clean(world / file_name(NEXT_MONTH), NEXT_MONTH).rows[:2_600]))
    wait_for(lambda: bool(context.checks.latest(1, judged=True)))
    (check,) = context.checks.latest(1, judged=True)
    assert (check.verdict, check.alarm) == ("no drift", False)

    judged = airflow.runs("drift_monitor")[0].run_id
    wait_for(lambda: any(run.finished and run.run_id != judged for run in airflow.runs("drift_monitor")[:1]))
    finished = [run for run in airflow.runs("drift_monitor") if run.finished]
    assert {run.state for run in finished} == {"success"}
    assert all(airflow.task_states("drift_monitor", run.run_id)["emit"] == "skipped" for run in finished)
    assert [run.run_id for run in airflow.runs("retrain")[::-1]] == [run.run_id for run in triggered]


def test_the_monitors_incident_starts_a_retraining_whose_failure_says_so_and_lets_it_wait(
    triggered: list[DagRun], airflow: AirflowClient, context: Context, published: Path, world: Path
) -> None:
    """The month that holds the change is published, and cut off half-way: it is left out, the others do not reach the
    incident, and the next check waits for a month that does."""
    whole = (world / file_name(NEXT_MONTH)).read_bytes()
    (published / file_name(NEXT_MONTH)).write_bytes(whole[: len(whole) // 2])
    begins_at = datetime(2022, 4, 10, tzinfo=UTC)
    incident = context.ledger.open_incident(
        "drift",
        "another planted alarm",
        actor="test",
        evidence_start=begins_at,
        evidence_end=begins_at + timedelta(days=2),
    )
    wait_for(lambda: len(airflow.runs("retrain")) == 4 and airflow.runs("retrain")[0].finished)
    run = airflow.runs("retrain")[0]
    assert (run.run_type, run.state) == ("asset_triggered", "failed")
    states = airflow.task_states("retrain", run.run_id)
    assert (states["begin"], states["ingest"], states["record_failure"]) == ("failed", "upstream_failed", "failed")

    wait_for(lambda: context.ledger.incident(incident).status == "waiting_for_data")
    (failure,) = context.ledger.entries(incident_id=incident, kind="retraining failed")
    assert f"{run.run_id} failed at begin (NotPublished: " in failure.reason
    assert "stays open" in failure.reason


def test_down_ends_all_of_airflow_even_when_the_supervisor_was_killed(running: Settings) -> None:
    """Airflow's processes rename themselves, fork, and lead groups of their own."""
    supervisord = psutil.Process(int((running.storage.home / "run" / "supervisord.pid").read_text()))
    started = supervisord.children(recursive=True)
    assert len(started) > 5
    supervisord.kill()
    assert services.down(running) is True
    assert psutil.wait_procs(started, timeout=60)[1] == []
