"""The API on a real uvicorn server in a thread, with a registry in memory that a test may move and break."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import pytest
import sqlalchemy as sa
import uvicorn

from autoops.clock import Clock, SystemClock
from autoops.models.registry import Registry, TrainingRun
from autoops.serving.app import create_app
from autoops.serving.http import server as api_server
from autoops.serving.model.trial import Trial, no_trial
from autoops.settings import Serving, Settings
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog
from tests.bundles import three_speeds
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.ports import free_port

TRIP = {
    "pickup_at": "2023-01-10T10:30:00",
    "trip_distance": 2.3,
    "passenger_count": 1,
    "pickup_location_id": 74,
    "dropoff_location_id": 41,
}
POLL_S = 0.05

Start = Callable[..., httpx.Client]


@contextmanager
def serving(
    settings: Settings,
    registry: Registry,
    log: PredictionLog,
    instances: Instances,
    clock: Clock,
    trial: Trial = no_trial,
) -> Iterator[httpx.Client]:
    app = create_app(settings, registry, log, instances, clock, trial)
    port = free_port()
    server = uvicorn.Server(api_server.config(app, settings.serving, port=port, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def with_serving(settings: Settings, **changes: object) -> Settings:
    section = Serving.model_validate(settings.serving.model_dump() | {"poll_interval_s": POLL_S} | changes)
    return settings.model_copy(update={"serving": section})


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingRun]:
    return three_speeds(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def registry(tmp_path: Path, runs: list[TrainingRun]) -> FakeRegistry:
    """Versions 1 to 3, of which 1 is the champion."""
    return FakeRegistry(tmp_path / "registry").filled(runs)


@pytest.fixture
def start(settings: Settings, registry: FakeRegistry, engine: sa.Engine) -> Iterator[Start]:
    """Starts the API and stops the one before; keyword arguments change its serving settings."""
    running: list[object] = []

    def stop() -> None:
        while running:
            running.pop().__exit__(None, None, None)  # type: ignore[attr-defined]

    def begin(
        clock: Clock | None = None,
        log: PredictionLog | None = None,
        ready: bool = True,
        trial: Trial = no_trial,
        **changes: object,
    ) -> httpx.Client:
        stop()
        context = serving(
            with_serving(settings, **changes),
            registry,
            log or PredictionLog(engine),
            Instances(engine),
            clock or SystemClock(),
            trial,
        )
        client = context.__enter__()
        running.append(context)
        if ready:
            eventually(lambda: client.get("/ready").is_success)
        return client

    yield begin
    stop()


@pytest.fixture
def api(start: Start) -> httpx.Client:
    """A client of an API that is ready with version 1."""
    return start()
