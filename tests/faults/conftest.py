"""Real processes, a real MLflow server, a real PostgreSQL server, and what may come between them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.settings import CONFIG_VARIABLE, PREFIX, MLflow
from tests.conftest import CONFIG
from tests.eventually import eventually
from tests.faults.disk import Disk, mounted
from tests.faults.proxy import Proxy
from tests.integration.conftest import mlflow_db, mlflow_uri  # noqa: F401  fixtures
from tests.integration.postgres.conftest import connect, database_url, pg_engine, pg_settings  # noqa: F401  fixtures
from tests.integration.serving.conftest import TRIP, runs  # noqa: F401  a fixture
from tests.ports import free_port

Serve = Callable[..., AbstractContextManager["Api"]]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", 24) as small:
        yield small


@pytest.fixture
def mlflow_proxy(mlflow_uri: str) -> Iterator[Proxy]:  # noqa: F811
    """In front of MLflow."""
    port = urlsplit(mlflow_uri).port
    assert port
    with Proxy(port) as proxy:
        yield proxy


@pytest.fixture
def registry(mlflow_uri: str, request: pytest.FixtureRequest, runs: list[TrainingRun]) -> MlflowRegistry:  # noqa: F811
    """Past the proxy: a model of the test's own, whose version 1 is champion; version 2 waits."""
    name = request.node.name
    found = MlflowRegistry(name, MLflow(tracking_uri=mlflow_uri, experiment=name))
    for run in runs[:2]:
        found.register(run)
    found.set_alias(CHAMPION, 1)
    return found


@dataclass
class Api:
    """A process of `autoops serve`, and all that it has acknowledged."""

    process: subprocess.Popen[bytes]
    http: httpx.Client
    acknowledged: list[str]

    def predict(self, **changes: Any) -> int:
        """The version that answered."""
        answer = self.http.post("/predict", json=TRIP | changes)
        assert answer.status_code == 200, answer.text
        self.acknowledged.append(answer.json()["prediction_id"])
        return int(answer.json()["model_version"])

    def info(self) -> dict[str, Any]:
        return dict(self.http.get("/model/info").json())

    def is_ready(self) -> bool:
        try:
            return self.http.get("/ready").is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def serve(tmp_path: Path, mlflow_proxy: Proxy, registry: MlflowRegistry) -> Serve:
    """Starts the API, with MLflow behind the proxy and state in `home`; other settings by keyword."""
    acknowledged: list[str] = []

    @contextmanager
    def begin(home: Path = tmp_path / "var", **settings: object) -> Iterator[Api]:
        port = free_port()
        environment = environment_of(
            home,
            serving__port=port,
            serving__poll_interval_s=0.1,
            mlflow__tracking_uri=f"http://127.0.0.1:{mlflow_proxy.port}",
            model__name=registry.name,
            **{"mlflow__timeout_s": 1} | settings,
        )
        home.mkdir(parents=True, exist_ok=True)
        with (home / "api.log").open("ab") as log:
            command = [sys.executable, "-m", "autoops.cli", "serve"]
            process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
                api = Api(process, http, acknowledged)
                eventually(lambda: process.poll() is not None or api.is_ready())
                assert process.poll() is None, (home / "api.log").read_text()
                yield api
        finally:
            process.kill()
            process.wait()

    return begin


def environment_of(home: Path, **settings: object) -> dict[str, str]:
    """Of a process of Auto-Ops; `section__key` sets one setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "MLFLOW_"))}
    own = {PREFIX + key.upper(): str(value) for key, value in settings.items()}
    return kept | {CONFIG_VARIABLE: str(CONFIG), f"{PREFIX}STORAGE__HOME": str(home)} | own
