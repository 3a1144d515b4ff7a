"""The API, the exporter and Prometheus as they run in the stack, with the loop's history between them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from autoops.months import Month
from autoops.replay.client import served_version
from autoops.settings import Settings
from autoops.storage import database
from tests.conftest import configured
from tests.eventually import eventually
from tests.integration.live_api import live_api
from tests.integration.one_process import small
from tests.observability import history, server
from tests.ports import free_port
from tests.postgres import PostgresServer


@dataclass(frozen=True)
class Observed:
    prometheus: server.Prometheus
    settings: Settings


@contextmanager
def exporter(settings: Settings, log: Path) -> Iterator[str]:
    """`autoops exporter` as a process; yields its address."""
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "autoops.cli", "exporter"], stdout=file, stderr=file)
    try:
        yield settings.exporter_url.removeprefix("http://")
    finally:
        process.terminate()
        process.wait(timeout=120)


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Observed]:
    """After a history in which everything that is counted happened. On PostgreSQL, as in the stack, because the
    outbox is there only then."""
    home = tmp_path_factory.mktemp("observed")
    with ExitStack() as ends:
        changes = {
            "storage.home": home / "var",
            "storage.url": postgres.new_database(),
            "exporter.port": free_port(),
        }
        with configured(changes):  # over before the first test: others share this process
            found = _observed(home, ends)
        yield found


def _observed(home: Path, ends: ExitStack) -> Observed:
    settings = small()
    of_loop, of_api = database.connect(settings), database.connect(settings)
    for engine in (of_loop, of_api):
        ends.callback(engine.dispose)
    database.upgrade(of_loop)
    context = history.new_context(home, settings, of_loop)
    asked = ends.enter_context(live_api(settings, context.registry, of_api))
    targets = {
        "loop": ends.enter_context(exporter(asked, home / "exporter.log")),
        "api": asked.api_url.removeprefix("http://"),
    }
    prometheus = ends.enter_context(server.running(home, targets))
    client = ends.enter_context(httpx.Client(base_url=asked.api_url, timeout=30, trust_env=False))
    trip = {"trip_distance": 1, "pickup_location_id": 74, "dropoff_location_id": 75}
    assert client.post("/predict", json=trip).status_code == 503
    history.begin(context, home)
    _ask(client, asked, prometheus, home / "world", history.BEFORE)
    history.degrade_and_heal(context, home)
    _ask(client, asked, prometheus, home / "world", history.AFTER)
    prometheus.wait_for_scrapes("loop")
    return Observed(prometheus, asked)


def _ask(client: httpx.Client, settings: Settings, prometheus: server.Prometheus, world: Path, month: Month) -> None:
    """Of the version that took charge last, with scrapes in between: what happens before the first is no step."""
    version = {history.BEFORE: 1, history.AFTER: 2}[month]
    eventually(lambda: served_version(settings.api_url) == version, 30, f"version {version} is served")
    for first in (0, 20):
        history.send(client, world, month, first)
        prometheus.wait_for_scrapes("api")
