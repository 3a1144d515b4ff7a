"""The composition root: settings and adapters are built here and passed down.

Each function imports what it wires, so that the API starts without the pipeline's libraries.
"""

import os
from typing import TYPE_CHECKING

from autoops import loopback
from autoops.clock import SystemClock
from autoops.settings import Settings, load_settings
from autoops.storage import database
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog
from autoops.telemetry import tracing

if TYPE_CHECKING:
    import sqlalchemy as sa
    from fastapi import FastAPI
    from prometheus_client import CollectorRegistry
    from starlette.applications import Starlette

    from autoops.alerts.rounds import Alerts
    from autoops.loop.context import Context
    from autoops.models.registry import Registry
    from autoops.web.actions import Retrain


def context(settings: Settings | None = None, *, migrate: bool = False) -> "Context":
    """Return everything that the steps of the loop need. Connects lazily, except to migrate the database."""
    settings = _begun(settings)
    return _context_on(settings, _engine(settings, migrate))


def alerts(settings: Settings | None = None, *, migrate: bool = False) -> "Alerts":
    """Return what the delivery of alerts needs. Connects lazily, except to migrate the database.

    Raises:
        SettingsError: an entry of `alerts.urls` is no URL, or `alerts.urls_file` cannot be read.
    """
    from autoops.alerts.addresses import addresses
    from autoops.alerts.queue import AlertQueue
    from autoops.alerts.receivers import AppriseReceiver
    from autoops.alerts.rounds import Alerts

    settings = _begun(settings)
    engine = _engine(settings, migrate)
    receivers = [AppriseReceiver(address) for address in addresses(settings.alerts)]
    return Alerts(_context_on(settings, engine), AlertQueue(engine, SystemClock()), receivers)


def _begun(settings: Settings | None) -> Settings:
    """Return the settings, after setting NO_PROXY for the services on this machine."""
    settings = settings or load_settings()
    loopback.spare(os.environ, settings.service_urls)
    return settings


def _engine(settings: Settings, migrate: bool) -> "sa.Engine":
    engine = database.connect(settings)
    if migrate:
        database.upgrade(engine, settings.contract.name)
    return engine


def _context_on(settings: Settings, engine: "sa.Engine") -> "Context":
    from autoops.ingestion.cleaned import cleaner_of
    from autoops.ingestion.sources import open_source
    from autoops.ingestion.store import MonthStore
    from autoops.loop.context import Context
    from autoops.loop.records.checks import CheckLog
    from autoops.loop.records.ledger import Ledger
    from autoops.mlflow_registry import MlflowRegistry

    tracing.start("pipeline")
    clock = SystemClock()
    return Context(
        settings=settings,
        clock=clock,
        source=open_source(settings.data, settings.contract),
        store=MonthStore(settings.storage.home / "months", cleaner_of(settings.contract)),
        registry=MlflowRegistry(settings.model.name, settings.mlflow, settings.contract),
        log=PredictionLog(engine),
        instances=Instances(engine),
        ledger=Ledger(engine, clock, settings.storage.lock_timeout_s),
        checks=CheckLog(engine, clock),
    )


def figures(settings: Settings | None = None) -> "CollectorRegistry":
    """Return the exporter's metrics. Connects when they are collected, and needs none of the pipeline's libraries."""
    from autoops.loop.metrics.collector import LoopFigures, registry_of

    settings = _begun(settings)
    return registry_of(LoopFigures(database.connect(settings), SystemClock(), settings.drift.check_interval_s))


def console_app(settings: Settings, owner: str, retrain: "Retrain | None" = None) -> "Starlette":
    """Return the console; `owner` acts where no keys are configured, `retrain` starts a retraining by hand.

    Raises:
        SettingsError: other machines could reach it without a sign-in, or the keys file is unusable.
    """
    from autoops.web.app import create_app, keys_of

    keys = keys_of(settings)
    return create_app(context(settings, migrate=True), keys, owner, retrain)


def api(settings: Settings | None = None) -> "FastAPI":
    """Return the serving application."""
    from autoops.mlflow_registry import MlflowRegistry

    settings = _begun(settings)
    registry = MlflowRegistry(settings.model.name, settings.mlflow, settings.contract)
    return api_on(settings, registry.load())


def api_on(settings: Settings, registry: "Registry") -> "FastAPI":
    """Return the serving application on a given registry, after migrating the database.

    An API that has served from this home before also starts while the database server is away: the outbox keeps
    predictions until it is back.
    """
    from autoops.serving.app import create_app
    from autoops.serving.http.traces import INSTRUMENTATION
    from autoops.serving.log.outbox_log import needs_outbox, outboxes
    from autoops.serving.model.budget import check_limit

    check_limit(settings.serving.max_model_mb)
    tracing.start("api", INSTRUMENTATION)
    engine = database.connect(settings)
    log = PredictionLog(engine)
    has_served = needs_outbox(log) and outboxes(settings).is_dir()
    (database.upgrade_if_there if has_served else database.upgrade)(engine, settings.contract.name)
    return create_app(settings, registry, log, Instances(engine), SystemClock())
