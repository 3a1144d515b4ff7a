"""The API on a real port, with two versions in a registry in memory, for tests of what talks to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import sqlalchemy as sa
import uvicorn

from autoops.clock import SystemClock
from autoops.models.registry import CHAMPION
from autoops.replay.client import served_version
from autoops.serving.app import create_app
from autoops.settings import Settings
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog
from tests.bundles import register_small
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.ports import free_port


def two_versions(directory: Path) -> FakeRegistry:
    """Version 1 is champion; version 2 says half as much again."""
    registry = FakeRegistry(directory / "registry")
    register_small(registry, directory / "first", minutes_per_mile=4)
    register_small(registry, directory / "second", minutes_per_mile=6)
    registry.set_alias(CHAMPION, 1)
    return registry


@contextmanager
def live_api(settings: Settings, registry: FakeRegistry, engine: sa.Engine) -> Iterator[Settings]:
    """Yields the settings with the port on which the API answers; it looks at the registry every 50 ms."""
    port = free_port()
    serving = settings.serving.model_copy(update={"port": port, "poll_interval_s": 0.05})
    settings = settings.model_copy(update={"serving": serving})
    app = create_app(settings, registry, PredictionLog(engine), Instances(engine), SystemClock())
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", access_log=False))
    thread = Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        if CHAMPION in registry.aliases:
            eventually(lambda: served_version(settings.api_url) is not None)
        yield settings
    finally:
        server.should_exit = True
        thread.join()
