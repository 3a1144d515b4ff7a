"""The composition root: settings and adapters are built here and passed down.

Each function imports what it wires, so that the API starts without the pipeline's libraries.
"""

from typing import TYPE_CHECKING

from autoops import database
from autoops.clock import SystemClock
from autoops.predictions import Instances, PredictionLog
from autoops.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from autoops.loop.pipeline import Pipeline


def pipeline(settings: Settings | None = None, *, migrate: bool = False) -> "Pipeline":
    """Everything that the steps of the loop need; connects lazily, but for a migration when one is asked for."""
    from autoops.ingestion.source import open_source
    from autoops.ingestion.store import MonthStore
    from autoops.loop.checks import CheckLog
    from autoops.loop.ledger import Ledger
    from autoops.loop.pipeline import Pipeline
    from autoops.mlflow_registry import MlflowRegistry

    settings = settings or load_settings()
    engine = database.connect(settings)
    if migrate:
        database.upgrade(engine)
    clock = SystemClock()
    return Pipeline(
        settings=settings,
        clock=clock,
        source=open_source(settings.data),
        store=MonthStore(settings.storage.home / "months"),
        registry=MlflowRegistry(settings.model.name, settings.mlflow),
        log=PredictionLog(engine),
        instances=Instances(engine),
        ledger=Ledger(engine, clock),
        checks=CheckLog(engine, clock),
    )


def api(settings: Settings | None = None) -> "FastAPI":
    """The serving application, on a migrated database."""
    from autoops.mlflow_registry import MlflowRegistry
    from autoops.serving.app import create_app
    from autoops.serving.server import shared_folder

    settings = settings or load_settings()
    engine = database.connect(settings)
    database.upgrade(engine)
    registry = MlflowRegistry(settings.model.name, settings.mlflow)
    return create_app(settings, registry, PredictionLog(engine), Instances(engine), SystemClock(), shared_folder())
