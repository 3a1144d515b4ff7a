"""A real MLflow server on SQLite, one for all integration tests; each test names a model and experiments of its own."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from autoops.loop.context import Context
from autoops.mlflow_registry import MlflowRegistry
from autoops.months import parse_months
from autoops.settings import MLflow
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import with_champion
from tests.ports import free_port

STARTS_WITHIN_S = 300


@pytest.fixture(scope="session")
def mlflow_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow, to be copied: MLflow takes its time over each new one. Made once for all processes
    of a run of the tests."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made = shared / "mlflow-empty.db"
    with (shared / "mlflow-empty.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            SqlAlchemyStore(f"sqlite:///{shared}/mlflow-begun.db", str(shared / "mlflow-artifacts"))
            (shared / "mlflow-begun.db").rename(made)
    return made


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory, mlflow_db: Path) -> Iterator[str]:
    """The tracking URI of a running server, with proxied artifacts."""
    home = tmp_path_factory.mktemp("mlflow")
    shutil.copy(mlflow_db, home / "mlflow.db")
    port = free_port()
    with (home / "server.log").open("wb") as log:
        server = _start(home, port, log)
        try:
            uri = f"http://127.0.0.1:{port}"
            _wait(server, uri, home / "server.log")
            yield uri
        finally:
            _stop(server)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Months of 2022 in which trips become 30 % slower from April on; a week has some 1,400."""
    directory = tmp_path_factory.mktemp("slower")
    months = parse_months("2022-01..2022-09")
    write_sample(directory, months, trips_per_month=6_000, scenario="speed", changes_from=months[3])
    return directory


@pytest.fixture
def context(engine: sa.Engine, tmp_path: Path, world: Path) -> Context:
    """Version 1, of the world before the change, serves."""
    return with_champion(tmp_path, world, engine)


def _start(home: Path, port: int, log: object) -> subprocess.Popen[bytes]:
    options = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        "--backend-store-uri": f"sqlite:///{home}/mlflow.db",
        "--artifacts-destination": str(home / "artifacts"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *(word for option in options.items() for word in option)],
        cwd=home,
        stdout=log,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=os.environ
        | {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        },
    )


def _wait(server: subprocess.Popen[bytes], uri: str, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{uri}/health", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the MLflow server did not start:\n{log.read_text()[-2000:]}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    """The server's workers are in its process group."""
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture
def mlflow_settings(mlflow_uri: str, request: pytest.FixtureRequest) -> MLflow:
    """Experiments of the test's own."""
    name = request.node.name
    return MLflow(tracking_uri=mlflow_uri, experiment=name, monitoring_experiment=f"{name}-monitoring")


@pytest.fixture
def registry(mlflow_settings: MLflow) -> MlflowRegistry:
    """A registered model of the test's own."""
    return MlflowRegistry(mlflow_settings.experiment, mlflow_settings)
