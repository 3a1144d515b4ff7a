"""What was answered is in the log: after a kill, under a locked database, and at a graceful stop."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from autoops.models.registry import CHAMPION, TrainingRun
from autoops.settings import Settings
from autoops.storage import database, tables
from tests import serving_app
from tests.eventually import eventually
from tests.fakes import DirectoryRegistry
from tests.integration.serving.conftest import TRIP
from tests.integration.serving.test_bad_input import problem_of
from tests.ports import free_port

pytestmark = pytest.mark.system


@contextmanager
def process(
    home: Path, registry: DirectoryRegistry, module: str = "tests.serving_app", **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    with (home / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", module],
            env=os.environ
            | {serving_app.REGISTRY: str(registry.directory), "AUTOOPS__SERVING__PORT": str(port)}
            | environment,
            cwd=Path(serving_app.__file__).parent.parent,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: server.poll() is not None or _is_ready(url))
        assert server.poll() is None, (home / "server.log").read_text()
        yield server, url
    finally:
        server.kill()
        server.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def shared_registry(tmp_path: Path, runs: list[TrainingRun]) -> DirectoryRegistry:
    registry = DirectoryRegistry(tmp_path / "shared")
    registry.directory.mkdir()
    registry.register(runs[0])
    registry.set_alias(CHAMPION, 1)
    return registry


async def _ask_until_it_dies(client: httpx.AsyncClient, answered: list[str]) -> None:
    while True:
        try:
            answer = await client.post("/predict", json=TRIP)
        except httpx.TransportError:
            return
        assert answer.status_code == 200
        answered.append(answer.json()["prediction_id"])


async def _kill_under_load(server: subprocess.Popen[bytes], url: str, signal_number: int, rows: int) -> list[str]:
    answered: list[str] = []
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        asking = [asyncio.create_task(_ask_until_it_dies(client, answered)) for _ in range(8)]
        while len(answered) < rows:
            await asyncio.sleep(0.005)
        server.send_signal(signal_number)
        await asyncio.gather(*asking)
    return answered


def _logged_ids(settings: Settings) -> set[str]:
    engine = database.connect(settings)
    with engine.connect() as connection:
        ids = set(connection.scalars(sa.select(tables.predictions.c.id)))
    engine.dispose()
    return ids


def test_a_process_that_is_killed_under_load_loses_no_acknowledged_prediction(
    settings: Settings, shared_registry: DirectoryRegistry, tmp_path: Path
) -> None:
    for rows in (50, 300):
        with process(tmp_path, shared_registry) as (server, url):
            answered = asyncio.run(_kill_under_load(server, url, signal.SIGKILL, rows))
            server.wait(timeout=120)
        assert len(answered) >= rows
        assert set(answered) <= _logged_ids(settings)


async def _ask_until_refused(client: httpx.AsyncClient, answered: list[str], stop: Callable[[], None]) -> None:
    """Whatever is sent is answered; only a new connection is not taken."""
    while True:
        try:
            answer = await client.post("/predict", json=TRIP)
        except httpx.ConnectError:
            return
        assert answer.status_code == 200
        answered.append(answer.json()["prediction_id"])
        if len(answered) == 300:
            stop()


def test_a_process_that_is_stopped_under_load_answers_all_that_it_is_asked(
    settings: Settings, shared_registry: DirectoryRegistry, tmp_path: Path
) -> None:
    async def ask(url: str, answered: list[str], stop: Callable[[], None]) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            await asyncio.gather(*(_ask_until_refused(client, answered, stop) for _ in range(32)))

    answered: list[str] = []
    with process(tmp_path, shared_registry) as (server, url):
        asyncio.run(ask(url, answered, server.terminate))
        assert server.wait(timeout=120) == 0
    assert len(answered) >= 300
    assert set(answered) == _logged_ids(settings)


def test_a_stopped_process_signs_off(settings: Settings, shared_registry: DirectoryRegistry, tmp_path: Path) -> None:
    with process(tmp_path, shared_registry) as (server, _):
        eventually(lambda: _instances(settings) == [1])
        server.terminate()
        server.wait(timeout=120)
    assert _instances(settings) == []


def _instances(settings: Settings) -> list[int | None]:
    engine = database.connect(settings)
    with engine.connect() as connection:
        versions = list(connection.scalars(sa.select(tables.instances.c.model_version)))
    engine.dispose()
    return versions


def test_a_locked_database_is_unavailable_and_nothing_is_half_stored(
    settings: Settings, shared_registry: DirectoryRegistry, tmp_path: Path
) -> None:
    with (
        process(tmp_path, shared_registry, AUTOOPS__STORAGE__TIMEOUT_S="0.2") as (_, url),
        httpx.Client(base_url=url, timeout=30) as api,
    ):
        before = _logged_ids(settings)
        lock = sqlite3.connect(settings.storage.home / "autoops.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        label = {"labels": [{"request_id": "ride-1", "trip_duration_minutes": 5}]}
        for path, body in (("/predict", TRIP), ("/predict/batch", {"trips": [TRIP] * 3}), ("/ground-truth", label)):
            answer = api.post(path, json=body)
            assert problem_of(answer, 503).detail == "the database is not available; nothing was stored"
            assert answer.headers["retry-after"] == "1"
        assert api.get("/health").is_success
        assert api.get("/ready").is_success
        lock.execute("ROLLBACK")
        lock.close()
        assert api.post("/predict", json=TRIP).status_code == 200
        assert api.post("/ground-truth", json=label).json()["pending"] == [0]
    assert len(_logged_ids(settings) - before) == 1
