"""An installation of its own for each test: processes whose MLflow, PostgreSQL and source of months can be broken."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.ingestion.source import file_name
from autoops.loop.records.ledger import Ledger
from autoops.mlflow_registry import MlflowRegistry
from autoops.months import parse_months
from autoops.settings import MLflow, Settings
from autoops.usecases.taxi.sample import write_sample
from tests.dags.conftest import SMALL
from tests.faults.conftest import environment_of
from tests.faults.proxy import Proxy
from tests.integration.test_url_source import FileServer

Run = subprocess.CompletedProcess[str]
FIRST = ("autoops.cli", "bootstrap")
MONTHS = parse_months("2022-01..2022-03")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("published")
    write_sample(directory, MONTHS, trips_per_month=4_000)
    return directory


class Installation:
    """Processes of one installation whose MLflow and PostgreSQL are behind proxies."""

    def __init__(self, home: Path, source: object, mlflow: Proxy, postgres: Proxy, url: str, name: str) -> None:
        self._home = home
        self.mlflow, self.postgres = mlflow, postgres
        place = sa.make_url(url)
        small = {key.replace(".", "__"): value for key, value in SMALL.items()}
        self.environment = environment_of(
            home,
            data__source=source,
            data__attempts=1,
            data__timeout_s=5,
            storage__url=place.set(port=postgres.port).render_as_string(),
            storage__timeout_s=5,
            mlflow__tracking_uri=f"http://127.0.0.1:{mlflow.port}",
            mlflow__timeout_s=5,
            mlflow__experiment=name,
            model__name=name,
            **small,
        )
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.ledger = Ledger(sa.create_engine(place), SystemClock())

    def run(self, *command: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", *command], env=self.environment, cwd=self._home, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def steps(self, *arguments: str) -> Run:
        return self.run("tests.faults.retrain.steps", *arguments)

    def counts(self, incident_id: int) -> Counter[str]:
        return Counter(entry.kind for entry in self.ledger.entries(incident_id=incident_id))


@pytest.fixture
def registry(mlflow_uri: str, request: pytest.FixtureRequest) -> MlflowRegistry:
    """Past the proxy, and empty."""
    return MlflowRegistry(request.node.name, MLflow(tracking_uri=mlflow_uri, experiment=request.node.name))


@pytest.fixture
def source(months: Path) -> Iterator[FileServer]:
    with FileServer() as server:
        for month in MONTHS:
            server.publish(months / file_name(month))
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def installation(
    tmp_path: Path, source: FileServer, mlflow_proxy: Proxy, pg_settings: Settings, registry: MlflowRegistry
) -> Iterator[Installation]:
    url = str(pg_settings.storage.url)
    with Proxy(sa.make_url(url).port or 0) as postgres_proxy:
        yield Installation(tmp_path, source.url, mlflow_proxy, postgres_proxy, url, registry.name)
