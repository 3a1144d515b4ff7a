"""The loop in one process, with months that are published by copying a file."""

import shutil
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pandas as pd
import sqlalchemy as sa
import uuid_utils

from autoops.ingestion.source import DirectorySource, file_name
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.loop.retrain import retraining
from autoops.models.registry import champion_of
from autoops.models.scoring import load_version
from autoops.months import Month, parse_months
from autoops.settings import Settings, load_settings
from autoops.storage import database
from autoops.storage.instances import Instances
from autoops.storage.predictions import LIVE, Label, LoggedPrediction, PredictionLog
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.rows import inputs_from
from autoops.usecases.taxi.clean import clean
from tests.conftest import CONFIG, configured
from tests.fakes import FakeRegistry, HeldClock

_KEPT = TemporaryDirectory(prefix="autoops-prepared-")
_BUILT: dict[Hashable, tuple[Path, Context]] = {}

SMALL = {"n_estimators": 20, "max_depth": 12, "n_jobs": 2, "random_state": 7}
"""A forest that is fitted in a second, and always the same."""


def context_in(directory: Path, settings: Settings, engine: sa.Engine) -> Context:
    """Months are published in the folder `published` of `directory`; only the registry is a stand-in. No check draws a
    page, which takes longer than all the rest of it."""
    clock = HeldClock()
    (directory / "published").mkdir()
    return Context(
        settings=settings,
        clock=clock,
        source=DirectorySource(directory / "published"),
        store=MonthStore(directory / "months", clean),
        registry=FakeRegistry(directory / "registry"),
        log=PredictionLog(engine),
        instances=Instances(engine),
        ledger=Ledger(engine, clock),
        checks=CheckLog(engine, clock),
        draws_pages=False,
    )


def with_champion(directory: Path, world: Path, engine: sa.Engine, **training: object) -> Context:
    """Version 1, of the world's January to March 2022, serves."""

    def build(directory: Path, engine: sa.Engine) -> Context:
        built = context_in(directory, small(**training), engine)
        publish(world, directory, "2022-01..2022-03")
        assert retrain(built, "first", reason="first model")["promoted"]
        return built

    return prepared(("champion", world, *training.items()), build, directory, engine)


def prepared(key: Hashable, build: Callable[[Path, sa.Engine], Context], directory: Path, engine: sa.Engine) -> Context:
    """What `build` makes in a folder, built once in a process of tests: a copy of the folder and of the database.
    `engine` is that of a migrated SQLite database with nothing in it."""
    if key not in _BUILT:
        folder = Path(mkdtemp(dir=_KEPT.name))
        with configured({"storage.home": folder / "var"}) as settings:
            own = database.connect(settings)
            database.upgrade(own)
            _BUILT[key] = folder, build(folder, own)
    kept, made = _BUILT[key]
    settings = made.settings.model_copy(update={"storage": load_settings(CONFIG).storage})
    copied = context_in(directory, settings, engine)
    for folder_name in ("published", "months", "registry"):
        shutil.copytree(kept / folder_name, directory / folder_name, dirs_exist_ok=True)
    with made.log.engine.connect() as source, engine.connect() as target:
        source.connection.driver_connection.backup(target.connection.driver_connection)
    copied.clock.advance(seconds=(made.clock.now() - copied.clock.now()).total_seconds())
    return replace(copied, registry=made.registry.copied(directory / "registry"))


def small(**training: object) -> Settings:
    """What is delivered, with a small forest."""
    loaded = load_settings(CONFIG)
    changed = {"parameters": SMALL}
    return loaded.model_copy(
        update={
            "model": loaded.model.model_copy(update=changed),
            "training": loaded.training.model_copy(update=training),
        }
    )


def setting(context: Context, section: str, **values: object) -> Context:
    changed = getattr(context.settings, section).model_copy(update=values)
    return replace(context, settings=context.settings.model_copy(update={section: changed}))


def publish(world: Path, directory: Path, months: str) -> None:
    for month in parse_months(months):
        shutil.copy(world / file_name(month), directory / "published")


def retrain(context: Context, run_id: str, **how: object) -> dict[str, object]:
    if how.get("force"):
        how.setdefault("reason", "I insist")
    plan = retraining.begin(context, run_id, **how)
    version = retraining.candidate(context, plan)
    promotion = retraining.promote(context, plan, version, retraining.gate(context, plan, version))
    retraining.close(context, plan, promotion)
    return promotion


def drive(context: Context, world: Path, month: Month, rows: slice) -> None:
    """Logs what the champion would have answered to these trips, with their ground truth."""
    trips = clean(world / file_name(month), month).rows.iloc[rows]
    context.clock.advance(seconds=1)
    logged = answers(context, trips)
    context.log.append(logged)
    labels = [Label(minutes, prediction_id=row.id) for row, minutes in zip(logged, trips[TARGET], strict=True)]
    context.log.attach(labels, context.clock.now())


def answers(context: Context, trips: pd.DataFrame) -> list[LoggedPrediction]:
    """What the champion would answer to these trips now."""
    champion = champion_of(context.registry)
    columns = columns_of(trips)
    predicted = load_version(context.registry, champion, context.model_cache).predict_rows(columns)
    return [
        LoggedPrediction(
            str(uuid_utils.uuid7()),
            None,
            event_at,
            context.clock.now(),
            champion.number,
            LIVE,
            inputs,
            float(minutes),
            None,
            context.contract.inputs_id,
        )
        for event_at, inputs, minutes in zip(
            trips["event_at"].dt.to_pydatetime(), inputs_from(context.contract, columns), predicted, strict=True
        )
    ]
