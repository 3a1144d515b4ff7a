"""The loop in one process, with months that are published by copying a file."""

import shutil
from pathlib import Path

import sqlalchemy as sa

from autoops.ingestion.source import DirectorySource, file_name
from autoops.ingestion.store import MonthStore
from autoops.loop import retraining
from autoops.loop.checks import CheckLog
from autoops.loop.ledger import Ledger
from autoops.loop.pipeline import Pipeline
from autoops.months import parse_months
from autoops.predictions import Instances, PredictionLog
from autoops.settings import Settings
from tests.fakes import FakeRegistry, HeldClock

SMALL = {"n_estimators": 20, "max_depth": 12, "n_jobs": 2}
"""A forest that is fitted in a second."""


def pipeline_in(directory: Path, settings: Settings, engine: sa.Engine) -> Pipeline:
    """Months are published in the folder `published` of `directory`; only the registry is a stand-in."""
    clock = HeldClock()
    (directory / "published").mkdir()
    return Pipeline(
        settings=settings,
        clock=clock,
        source=DirectorySource(directory / "published"),
        store=MonthStore(directory / "months"),
        registry=FakeRegistry(directory / "registry"),
        log=PredictionLog(engine),
        instances=Instances(engine),
        ledger=Ledger(engine, clock),
        checks=CheckLog(engine, clock),
    )


def publish(world: Path, directory: Path, months: str) -> None:
    for month in parse_months(months):
        shutil.copy(world / file_name(month), directory / "published")


def retrain(pipeline: Pipeline, run_id: str, **how: object) -> dict[str, object]:
    plan = retraining.begin(pipeline, run_id, **how)
    version = retraining.candidate(pipeline, plan)
    promotion = retraining.promote(pipeline, plan, version, retraining.gate(pipeline, plan, version))
    retraining.close(pipeline, plan, promotion)
    return promotion
