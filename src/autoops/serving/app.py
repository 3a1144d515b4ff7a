"""Builds the API: `create_app` returns the application that uvicorn runs."""

import asyncio
import gc
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from fastapi import FastAPI

from autoops import __version__
from autoops.clock import Clock
from autoops.models.registry import Registry
from autoops.serving.auth import keys
from autoops.serving.http import docs_page, openapi, problems
from autoops.serving.http.direct import direct
from autoops.serving.http.middleware import LoadShedding, Refusal, RequestLayer
from autoops.serving.http.traces import trace
from autoops.serving.inference import Inference, inference_router
from autoops.serving.log.outbox_log import OutboxLog, needs_outbox
from autoops.serving.log.writer import Writer
from autoops.serving.metrics import Metrics
from autoops.serving.model.budget import Budget
from autoops.serving.model.coalescing import Coalesced
from autoops.serving.model.holder import Holder, Outcome
from autoops.serving.model.last_served import LastServed
from autoops.serving.model.loading import Loading
from autoops.serving.model.trial import Trial, in_process
from autoops.serving.payloads.formats import Formats
from autoops.serving.periodic import Periodic, stop_all
from autoops.serving.predict.batches import Batches
from autoops.serving.predict.predictor import Predictor
from autoops.serving.routes import NEEDED_SCOPES, Endpoints, router
from autoops.serving.shutdown import ShutdownTimeouts, deregister, ends_within_s
from autoops.settings import Settings
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog
from autoops.telemetry import tracing

HEARTBEAT_S = 2.0
KEYS_S = 2.0
"""Between two checks of the keys file."""

_QUEUED_BATCHES = 4
_BATCHES_IN_WORK = 4
_REQUESTS_IN_WORK = 2_000
"""Limit of concurrent requests: about as many as one process serves within a second."""


def create_app(
    settings: Settings,
    registry: Registry,
    log: PredictionLog,
    instances: Instances,
    clock: Clock,
    trial: Trial = in_process,
) -> FastAPI:
    """Return the API as an ASGI application; nothing starts before the server enters its lifespan.

    The database must be migrated if it is available. A version must pass `trial` before this process loads it.
    """
    serving, instance_id, started_at = settings.serving, str(uuid.uuid4()), clock.now()
    known = keys.configured(settings)
    metrics = Metrics()
    writer = Writer(_QUEUED_BATCHES * serving.max_batch, serving.timeout_s)

    def observe(outcome: Outcome) -> None:
        metrics.reloaded(outcome)
        if outcome in ("swapped", "reverted", "from_cache"):
            # A promotion is confirmed by heartbeats, and would wait for the next one.
            heartbeat.wake()

    def beat() -> None:
        number = loaded.version.number if (loaded := holder.current) else None
        instances.beat(instance_id, number, started_at, clock.now(), socket.gethostname())

    last_served = LastServed(settings.storage.home / "models", settings.model.name)
    loading = Loading(Budget(serving.max_model_mb), serving.load_timeout_s, trial)
    holder = Holder(registry, serving.model_version, last_served, clock, observe, loading)
    holder.watch(metrics)
    metrics.gauge("autoops_log_queue_rows", "Rows that wait for their commit", lambda: writer.queued)
    outbox = _outbox(log, settings, clock, metrics)
    heartbeat = Periodic("heartbeat", HEARTBEAT_S, beat)
    poller = Periodic("model-poll", serving.poll_interval_s, holder.look)
    batches = Batches(serving.batch_threads)
    formats = Formats.of(settings.contract, serving.max_batch)
    predictor = Predictor(formats.models, holder, outbox or log, writer, metrics, batches, clock)
    follows = str(serving.model_version)
    check_registry = Coalesced(partial(holder.refresh, insist=True))
    endpoints = Endpoints(predictor, check_registry, metrics, batches, formats, follows, instance_id, started_at)
    periodics = [poller, heartbeat, *([Periodic("keys", KEYS_S, known.look)] if known else [])]
    leave = partial(instances.leave, instance_id)
    lifespan = _lifespan(holder, writer, outbox, batches, periodics, leave, ShutdownTimeouts.of(settings))
    app = _http(endpoints, metrics, lifespan, settings, known)
    # From `storage.timeout_s`, while the server is given the settings of serving only.
    app.state.ends_within_s = ends_within_s(settings)
    return app


def _outbox(log: PredictionLog, settings: Settings, clock: Clock, metrics: Metrics) -> OutboxLog | None:
    if not needs_outbox(log):
        return None
    outbox = OutboxLog(log, settings, clock)
    outbox.watch(metrics)
    return outbox


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def _auth(app: FastAPI, formats: Formats, known: keys.Keys, rate_limit: str | None) -> Refusal:
    """Declare the keys in the OpenAPI document, and return the check of each request.

    The import is local because only an API with keys needs the library for rate limits.
    """
    from autoops.serving.auth.guard import Auth, Rates, declare

    openapi.complete(app, formats, partial(declare, needed=NEEDED_SCOPES, refusals=openapi.problems(401, 403, 429)))
    return Auth(known, NEEDED_SCOPES, Rates(rate_limit)).refusal


def _http(
    endpoints: Endpoints,
    metrics: Metrics,
    lifespan: Lifespan,
    settings: Settings,
    known: keys.Keys | None,
) -> FastAPI:
    app = FastAPI(
        title="Auto-Ops",
        version=__version__,
        description=openapi.title(settings.contract),
        lifespan=lifespan,
        root_path=settings.serving.root_path,
        # FastAPI's own pages load scripts from a CDN; `docs_page` serves /docs without one.
        docs_url=None,
        redoc_url=None,
        openapi_tags=openapi.tags(settings.contract),
    )
    app.include_router(router(endpoints))
    rows = endpoints.predictor, endpoints.batches, endpoints.formats
    app.include_router(inference_router(Inference(*rows, settings.model.name)))
    docs_page.install(app)
    problems.install(app)
    paths = frozenset(getattr(route, "path", "") for route in app.routes)
    largest = endpoints.formats.batch_bytes
    refusal = None
    if known is None:
        openapi.complete(app, endpoints.formats)
    else:
        refusal = _auth(app, endpoints.formats, known, settings.security.rate_limit)
    app.add_middleware(
        RequestLayer,
        metrics=metrics,
        load_shedding=LoadShedding(_REQUESTS_IN_WORK, largest, _BATCHES_IN_WORK * largest),
        routes=paths,
        hot=direct(app.routes),
        refusal=refusal,
        log_requests=settings.logs.requests,
    )
    trace(app, tracing.provider())
    # After `complete`, which adds the schemas whose lists get bounds.
    openapi.bound(app, endpoints.formats)
    openapi.serve_once(app)
    return app


def _lifespan(
    holder: Holder,
    writer: Writer,
    outbox: OutboxLog | None,
    batches: Batches,
    periodics: Sequence[Periodic],
    leave: Callable[[], None],
    timeouts: ShutdownTimeouts,
) -> Lifespan:
    def end() -> None:
        if outbox is not None:
            outbox.stop()
        leave()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        _tame_garbage_collection()
        if outbox is not None:
            await asyncio.to_thread(outbox.start)
        writer.start()
        for periodic in periodics:
            periodic.start()
        yield
        holder.stop()
        # Before `end`: with PostgreSQL the last commit goes into the outbox, which `end` empties.
        await writer.stop(timeouts.commit_s)
        batches.stop()
        await asyncio.to_thread(stop_all, periodics)
        await asyncio.to_thread(deregister, end, timeouts.deregister_s)

    return lifespan


def _tame_garbage_collection() -> None:
    """Exclude the objects of the imports from garbage collection, and collect less often.

    Requests that wait for a commit make collections frequent. Each full collection would traverse the half million
    objects that the imports left and that are never freed: a pause of 100 ms for all requests.
    """
    # First, because garbage that is frozen is never freed.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
