"""Several processes behind one port: real ones, as `autoops serve` starts them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from uvicorn.config import STARTUP_FAILURE

from autoops.registry import CHAMPION, TrainingRun
from autoops.serving import server
from autoops.settings import Settings
from tests import serving_app
from tests.eventually import eventually
from tests.fakes import DirectoryRegistry
from tests.integration.serving.conftest import TRIP
from tests.integration.serving.test_durability import _instances, _kill_under_load, _logged_ids, process
from tests.ports import free_port

PAUSE_S = 0.05
"""Of each client, so that a worker can start beside them."""

UNKEPT = httpx.Limits(max_keepalive_connections=0)
"""Each request on a connection of its own, which any worker may take."""

SEVERAL = {"AUTOOPS__SERVING__WORKERS": "2"}


@dataclass(frozen=True)
class Served:
    """All its processes, as they were when it was ready."""

    parent: "subprocess.Popen[bytes]"
    client: httpx.Client
    processes: list[psutil.Process]

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        answer = self.client.request(method, path, **request)
        assert answer.status_code == 200
        return answer

    def workers(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/model/info").json()["workers"])

    def pids(self) -> set[int]:
        """Of the workers that serve a version."""
        return {worker["pid"] for worker in self.workers() if worker["model_version"]}

    def figures(self, name: str) -> list[float]:
        lines = self.ask("GET", "/metrics").text.splitlines()
        return [float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)]

    def folder(self) -> Path:
        """What its workers share."""
        return Path(self.processes[-1].environ()["AUTOOPS_SHARED_BY_WORKERS"])

    def is_gone(self) -> bool:
        return not psutil.wait_procs(self.processes, timeout=30)[1]


@contextmanager
def served(home: Path, registry: DirectoryRegistry, **environment: str) -> Iterator[Served]:
    with (
        process(home, registry, **SEVERAL, **environment) as (parent, url),
        httpx.Client(base_url=url, timeout=30, limits=UNKEPT) as client,
    ):
        eventually(lambda: len(Served(parent, client, []).pids()) == 2, within_s=60)
        running = Served(parent, client, [psutil.Process(parent.pid), *psutil.Process(parent.pid).children()])
        try:
            yield running
        finally:
            parent.kill()
            for left in psutil.wait_procs(running.processes, timeout=10)[1]:
                left.kill()


@pytest.fixture
def registry(tmp_path: Path, runs: list[TrainingRun]) -> DirectoryRegistry:
    registry = DirectoryRegistry(tmp_path / "shared")
    registry.directory.mkdir()
    for run in runs[:2]:
        registry.register(run)
    registry.set_alias(CHAMPION, 1)
    return registry


def test_a_reload_reaches_all_and_each_tells_of_all(
    settings: Settings, registry: DirectoryRegistry, tmp_path: Path
) -> None:
    with served(tmp_path, registry, AUTOOPS__SERVING__POLL_INTERVAL_S="3600") as running:
        registry.set_alias(CHAMPION, 2)
        reloaded = running.ask("POST", "/model/reload").json()["workers"]
        assert [worker["outcome"] for worker in reloaded] == ["swapped", "swapped"]
        assert running.figures("autoops_model_version{") == [2, 2]
        assert len(running.figures("autoops_model_loaded_timestamp_seconds{")) == 2
        assert running.figures("autoops_http_requests_in_flight") == [0]
        for stopped in running.pids():
            os.kill(stopped, signal.SIGSTOP)
            for _ in range(10):
                assert running.ask("POST", "/predict", json=TRIP).json()["model_version"] == 2
            told = {worker["pid"]: (worker["answered"], worker["model_version"]) for worker in running.workers()}
            os.kill(stopped, signal.SIGCONT)
            assert len(told) == 2
            assert told.pop(stopped) == (False, None)
            assert set(told.values()) == {(True, 2)}
        assert len({worker["instance_id"] for worker in running.workers()}) == 2
        assert running.figures("autoops_predictions_total{") == [20]
        assert running.figures('autoops_http_request_seconds_count{route="/predict"}') == [20]
        eventually(lambda: _instances(settings) == [2, 2])


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


async def _ask_all_the_time(client: httpx.AsyncClient, done: asyncio.Event, answered: list[str]) -> None:
    while not done.is_set():
        try:
            answer = await client.post("/predict", json=TRIP)
        except httpx.TransportError:
            continue
        assert answer.status_code == 200
        answered.append(answer.json()["prediction_id"])
        await asyncio.sleep(PAUSE_S)


async def _replace_one(running: Served, victim: int, registry: DirectoryRegistry) -> list[str]:
    """Kills it under load; the one that takes its place cannot read the registry until a hundred more are answered."""
    answered: list[str] = []
    done = asyncio.Event()
    async with httpx.AsyncClient(base_url=running.client.base_url, timeout=30, limits=UNKEPT) as client:
        asking = [asyncio.create_task(_ask_all_the_time(client, done, answered)) for _ in range(32)]
        await _until(lambda: len(answered) >= 200)
        with registry.held():
            os.kill(victim, signal.SIGKILL)
            await asyncio.to_thread(eventually, lambda: len(running.workers()) == 2, within_s=60)
            before = len(answered)
            await _until(lambda: len(answered) >= before + 100)
        await asyncio.to_thread(eventually, lambda: len(running.pids()) == 2, within_s=60)
        done.set()
        await asyncio.gather(*asking)
    return answered


def test_a_killed_worker_is_replaced_and_a_killed_parent_leaves_nothing(
    settings: Settings, registry: DirectoryRegistry, tmp_path: Path
) -> None:
    with served(tmp_path, registry, AUTOOPS__SERVING__POLL_INTERVAL_S="3600") as running:
        victim = min(running.pids())
        answered = asyncio.run(_replace_one(running, victim, registry))
        assert set(answered) <= _logged_ids(settings)
        assert running.figures("autoops_predictions_total{")[0] >= len(answered)
        assert running.figures("autoops_model_version{") == [1, 1]
        folder = running.folder()
        with server.made_shared_folder():
            assert folder.is_dir()
        running.processes.extend(psutil.Process(pid) for pid in running.pids())
        running.parent.kill()
        assert running.is_gone()
        with server.made_shared_folder():
            assert not folder.exists()


def test_connections_that_stay_are_shared_out_evenly(registry: DirectoryRegistry, tmp_path: Path) -> None:
    with served(tmp_path, registry) as running, ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=running.client.base_url, timeout=30)) for _ in range(40)]
        answered_by = Counter(client.get("/model/info").json()["instance_id"] for client in clients)
        assert len(answered_by) == 2
        assert min(answered_by.values()) >= 15


def test_what_fails_in_every_worker_ends_the_server(registry: DirectoryRegistry) -> None:
    environment = {serving_app.REGISTRY: str(registry.directory), "AUTOOPS__STORAGE__URL": "sqlite:////proc/no/log.db"}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.serving_app"],
        env=os.environ | SEVERAL | environment | {"AUTOOPS__SERVING__PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == STARTUP_FAILURE
    assert "cannot make the folder of /proc/no/log.db" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_stop_under_load_ends_all_and_loses_nothing(
    settings: Settings, registry: DirectoryRegistry, tmp_path: Path
) -> None:
    with served(tmp_path, registry) as running:
        folder = running.folder()
        answered = asyncio.run(_kill_under_load(running.parent, str(running.client.base_url), signal.SIGTERM, 300))
        assert running.parent.wait(timeout=30) == 0
        assert running.is_gone()
        assert not folder.exists()
    assert set(answered) <= _logged_ids(settings)
    assert _instances(settings) == []
