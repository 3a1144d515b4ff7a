"""A real scheduler whose tasks are killed, each once: the run ends as if nothing had been."""

import re
import threading
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
import sqlalchemy as sa

from autoops import bootstrap, services
from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.models.registry import champion_of
from autoops.months import parse_months
from autoops.services.airflow import AirflowClient
from autoops.services.health import airflow_client
from autoops.settings import Settings
from autoops.usecases.taxi.sample import write_sample
from tests.conftest import configured
from tests.dags.conftest import SMALL
from tests.dags.instance import an_instance
from tests.dags.test_scheduler import wait_for
from tests.faults.proxy import Proxy
from tests.integration.test_url_source import FileServer
from tests.ports import free_port
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

RETRAIN = "retrain"
STEPS = ("begin", "ingest", "validate", "train", "gate", "promote", "confirm", "close")
TASK = re.compile("airflow worker -- [0-9a-f]{8}-")
"""What Airflow calls the process of a task."""

MONTHS = parse_months("2022-01..2022-03")


@pytest.fixture(scope="module")
def proxies(
    mlflow_uri: str, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Proxy]]:
    """All that a task talks to, but for Airflow itself."""
    write_sample(directory := tmp_path_factory.mktemp("months"), MONTHS, trips_per_month=6_000)
    with FileServer() as source:
        for month in MONTHS:
            source.publish(directory / file_name(month))
        threading.Thread(target=source.serve_forever, daemon=True).start()
        with (
            Proxy(int(mlflow_uri.rpartition(":")[2])) as mlflow,
            Proxy(postgres.port) as database,
            Proxy(source.server_port) as files,
        ):
            yield {"mlflow": mlflow, "database": database, "files": files}
        source.shutdown()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, proxies: dict[str, Proxy], postgres: PostgresServer
) -> Iterator[Settings]:
    log = sa.make_url(postgres.new_database()).set(port=proxies["database"].port).render_as_string()
    changes = {
        **SMALL,
        "storage.home": tmp_path_factory.mktemp("home"),
        "storage.url": log,
        "data.source": f"http://127.0.0.1:{proxies['files'].port}/trip-data/",
        "drift.check_interval_s": 86_400,
        "airflow.port": free_port(),
        "mlflow.tracking_uri": f"http://127.0.0.1:{proxies['mlflow'].port}",
        "mlflow.experiment": "killed-tasks",
        "model.name": "killed-tasks",
    }
    with configured(changes) as settings:
        services.up(settings, without=["api", "mlflow", "exporter", "console"])
        yield settings
        services.down(settings)


@pytest.fixture(scope="module")
def airflow(running: Settings) -> Iterator[AirflowClient]:
    with airflow_client(running) as client:
        yield client


@pytest.fixture(scope="module")
def context(running: Settings, mlflow_uri: str, postgres: PostgresServer) -> Iterator[Context]:
    """Past the proxies."""
    log = sa.make_url(str(running.storage.url)).set(port=postgres.port).render_as_string()
    storage = running.storage.model_copy(update={"url": log})
    mlflow = running.mlflow.model_copy(update={"tracking_uri": mlflow_uri})
    built = bootstrap.context(running.model_copy(update={"storage": storage, "mlflow": mlflow}))
    with an_instance(built):
        yield built


class Killer:
    """Of each step of a run, once, at its first word to anything but Airflow."""

    def __init__(self, airflow: AirflowClient, run_id: str) -> None:
        self._airflow, self._run_id = airflow, run_id
        self._lock = threading.Lock()
        self._spared: set[int] = set()
        self.killed: list[str] = []

    def __call__(self, process: psutil.Process) -> bool:
        with self._lock:
            if process.pid in self._spared or not TASK.match(" ".join(process.cmdline())):
                return False
            states = self._airflow.task_states(RETRAIN, self._run_id)
            (running,) = (task for task, state in states.items() if state == "running")
            if running in self.killed or running not in STEPS:
                self._spared.add(process.pid)
                return False
            process.kill()
            self.killed.append(running)
            return True


def finished(airflow: AirflowClient, dag_id: str) -> bool:
    runs = airflow.runs(dag_id)
    return bool(runs) and all(run.finished for run in runs)


def test_a_retraining_whose_tasks_are_all_killed_ends_as_if_they_had_not_been(
    airflow: AirflowClient, context: Context, proxies: dict[str, Proxy]
) -> None:
    wait_for(lambda: finished(airflow, "drift_monitor"), within_s=180)
    killer = Killer(airflow, "killed-at-each-step")
    for proxy in proxies.values():
        proxy.guard = killer
    airflow.trigger(RETRAIN, {"reason": "to be killed", "force": True}, "killed-at-each-step")
    wait_for(lambda: finished(airflow, RETRAIN), within_s=600)
    states = airflow.task_states(RETRAIN, "killed-at-each-step")
    assert killer.killed == list(STEPS[:-1]), "the last one waits for the one before, which is not retried by itself"
    assert (states["promote"], states["confirm"], states["record_failure"]) == ("success", "failed", "failed")
    (incident,) = context.ledger.incidents()
    (failure,) = context.ledger.entries(incident_id=incident.id, kind="retraining failed")
    assert "failed at confirm" in failure.reason
    assert incident.status == "open"

    cleared = {"dag_run_id": "killed-at-each-step", "only_failed": True, "dry_run": False, "reset_dag_runs": True}
    airflow.call("POST", f"/api/v2/dags/{RETRAIN}/clearTaskInstances", cleared)
    wait_for(lambda: not finished(airflow, RETRAIN))
    wait_for(lambda: finished(airflow, RETRAIN), within_s=300)
    assert airflow.run(RETRAIN, "killed-at-each-step").state == "success"
    assert killer.killed == list(STEPS)
    (incident,) = context.ledger.incidents()
    assert incident.status == "closed"
    counts = Counter(entry.kind for entry in context.ledger.entries(incident_id=incident.id))
    assert [counts[kind] for kind in ("trained", "gate", "promoted", "served", "incident closed")] == [1] * 5
    assert [version.number for version in context.registry.versions()] == [1]
    assert champion_of(context.registry).number == 1
