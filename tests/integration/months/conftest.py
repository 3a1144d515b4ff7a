"""Version 1, trained on three made-up months once for all tests, and the months that follow in two worlds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.promote.promotion import promote_version
from autoops.months import Month, parse_months
from autoops.settings import Settings, Storage, load_settings
from autoops.storage import database
from autoops.usecases.taxi.sample import write_sample
from tests.conftest import CONFIG
from tests.fakes import FakeRegistry
from tests.integration.one_process import SMALL, context_in, publish, retrain


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same six months twice: steady, and with trips a quarter slower from May on."""
    made = {}
    for scenario in ("steady", "speed"):
        made[scenario] = tmp_path_factory.mktemp(scenario)
        months = parse_months("2022-01..2022-06")
        write_sample(
            made[scenario], months, trips_per_month=9_000, seed=7, scenario=scenario, changes_from=Month(2022, 5)
        )
    return made


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shipped configuration with a small forest, and published months to watch; so few false alarms that no single
    steady window has one."""
    settings = load_settings(CONFIG)
    return settings.model_copy(
        update={
            "model": settings.model.model_copy(update={"parameters": SMALL}),
            "drift": settings.drift.model_copy(update={"source": "months", "false_alarms_per_year": 0.01}),
            "storage": Storage(home=tmp_path_factory.mktemp("home")),
        }
    )


@pytest.fixture(scope="session")
def trained(worlds: dict[str, Path], shipped: Settings, tmp_path_factory: pytest.TempPathFactory) -> FakeRegistry:
    """A registry with a version that was trained on January to March, fitted once for all tests."""
    directory = tmp_path_factory.mktemp("trained")
    engine = database.connect(shipped)
    database.upgrade(engine)
    context = context_in(directory, shipped, engine)
    publish(worlds["steady"], directory, "2022-01..2022-03")
    retrain(context, "first")
    engine.dispose()
    return context.registry


@pytest.fixture
def engine(shipped: Settings, tmp_path: Path) -> Iterator[sa.Engine]:
    engine = database.connect(shipped.model_copy(update={"storage": Storage(home=tmp_path / "var")}))
    database.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def context(
    worlds: dict[str, Path], shipped: Settings, trained: FakeRegistry, engine: sa.Engine, tmp_path: Path
) -> Context:
    """Version 1 is champion, and the months that it was trained on are published. None is retrained on by schedule."""
    training = shipped.training.model_copy(update={"retrain_after_months": 0})
    home = shipped.model_copy(update={"storage": Storage(home=tmp_path / "var"), "training": training})
    context = context_in(tmp_path, home, engine)
    publish(worlds["steady"], tmp_path, "2022-01..2022-03")
    context.registry.register(replace(trained.runs[1], bundle=trained.bundle_of(1)))
    promote_version(context, 1, reason="the first", actor="me")
    return context
