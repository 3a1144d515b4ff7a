"""Puts the API together: `create_app` is what uvicorn runs."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from autoops import __version__
from autoops.clock import Clock
from autoops.errors import StorageUnavailable
from autoops.predictions import Instances, PredictionLog
from autoops.registry import Registry
from autoops.serving import problems
from autoops.serving.holder import Holder, Outcome
from autoops.serving.last_served import LastServed
from autoops.serving.metrics import Metrics
from autoops.serving.middleware import LimitedBody, Measured
from autoops.serving.periodic import Periodic
from autoops.serving.predictor import Predictor
from autoops.serving.routes import Endpoints, router
from autoops.serving.schemas import Problem
from autoops.serving.writer import Writer
from autoops.settings import Settings

logger = logging.getLogger(__name__)

HEARTBEAT_S = 2.0
_BODY_BYTES_PER_TRIP = 3 * 1024
_QUEUED_BATCHES = 4


def create_app(
    settings: Settings, registry: Registry, log: PredictionLog, instances: Instances, clock: Clock
) -> FastAPI:
    """The database must be migrated. Nothing is started before the server calls the lifespan."""
    serving = settings.serving
    metrics = Metrics()
    writer = Writer(log, limit_rows=_QUEUED_BATCHES * serving.max_batch)
    last_served = LastServed(settings.storage.home / "models", settings.model.name)
    instance_id, started_at = str(uuid.uuid4()), clock.now()

    def observe(outcome: Outcome) -> None:
        metrics.reloaded(outcome)
        if outcome in ("swapped", "reverted", "from_cache"):
            heartbeat.wake()

    def beat() -> None:
        loaded = holder.current
        instances.beat(instance_id, loaded.version.number if loaded else None, started_at, clock.now())

    holder = Holder(registry, serving.model_version, last_served, clock, observe)
    metrics.watch(holder, writer)
    heartbeat = Periodic("heartbeat", HEARTBEAT_S, beat)
    poller = Periodic("model-poll", serving.poll_interval_s, holder.refresh)
    endpoints = Endpoints(
        Predictor(holder, writer, metrics, clock),
        serving.max_batch,
        str(serving.model_version),
        instance_id,
        started_at,
    )
    app = FastAPI(
        title="Auto-Ops",
        version=__version__,
        description="Trip durations from the champion, each prediction logged before it is answered.",
        lifespan=_lifespan(writer, (poller, heartbeat), lambda: instances.leave(instance_id)),
    )
    app.include_router(router(endpoints))
    problems.install(app)
    paths = frozenset(route.path for route in app.routes if hasattr(route, "path"))
    app.add_middleware(LimitedBody, limit_bytes=64 * 1024 + serving.max_batch * _BODY_BYTES_PER_TRIP)
    app.add_middleware(Measured, metrics=metrics, routes=paths)
    _document_problems(app)
    return app


def _lifespan(
    writer: Writer, periodics: tuple[Periodic, ...], leave: Callable[[], None]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        writer.start()
        for periodic in periodics:
            periodic.start()
        yield
        await writer.stop()
        for periodic in periodics:
            await asyncio.to_thread(periodic.stop)
        try:
            await asyncio.to_thread(leave)
        except StorageUnavailable as error:
            logger.warning("this instance could not sign off: %s", error)

    return lifespan


def _document_problems(app: FastAPI) -> None:
    """Adds the schema that the problem responses refer to, which FastAPI only does for application/json."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components.update(schema.pop("$defs", {}))
        components["Problem"] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]
