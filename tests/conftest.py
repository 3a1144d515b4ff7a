"""Fixtures that every kind of test may use."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

from autoops.settings import CONFIG_VARIABLE, PREFIX, Settings, load_settings
from autoops.storage import database
from tests.postgres import PostgresServer

CONFIG = Path(__file__).parent.parent / "config.yaml"

# A busy machine is no counterexample.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@contextmanager
def configured(changes: Mapping[str, object]) -> Iterator[Settings]:
    """The shipped configuration with `changes`, named as in `storage.home`, and nothing of the caller's environment.
    In force until the end, for processes started meanwhile too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        patch.setenv(CONFIG_VARIABLE, str(CONFIG))
        for key, value in changes.items():
            patch.setenv(PREFIX + key.replace(".", "__").upper(), str(value))
        yield load_settings()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """The shipped configuration, with its state in a temporary folder."""
    with configured({"storage.home": tmp_path / "var"}) as settings:
        yield settings


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    """A migrated SQLite database of the test's own."""
    engine = database.connect(settings)
    database.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; whoever stops it starts it again."""
    with PostgresServer() as server:
        yield server


def stored_at(settings: Settings, url: str, timeout_s: float | None = None) -> Settings:
    """The same settings with another database."""
    changes = {"url": url, "timeout_s": timeout_s or settings.storage.timeout_s}
    return settings.model_copy(update={"storage": settings.storage.model_copy(update=changes)})


@pytest.fixture(params=["sqlite", "postgresql"])
def each_settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Settings with an empty SQLite database, then with an empty PostgreSQL database."""
    if request.param == "sqlite":
        return settings
    return stored_at(settings, request.getfixturevalue("postgres").new_database())


@pytest.fixture
def each_engine(each_settings: Settings) -> Iterator[sa.Engine]:
    """The same, migrated."""
    engine = database.connect(each_settings)
    database.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def tlc_dir() -> Path:
    """The folder of real TLC months that AUTOOPS_TLC_DIR names."""
    named = os.environ.get("AUTOOPS_TLC_DIR")
    if not named:
        pytest.skip("needs real TLC months: AUTOOPS_TLC_DIR is not set")
    return Path(named)
