"""A database of the test's own on a real server, and the program as processes of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.settings import CONFIG_VARIABLE, PREFIX, Settings
from autoops.storage import database
from tests.conftest import CONFIG, stored_at
from tests.postgres import PostgresServer

Process = subprocess.Popen[str]
Start = Callable[..., Process]
Connect = Callable[..., sa.Engine]


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def pg_settings(settings: Settings, database_url: str) -> Settings:
    return stored_at(settings, database_url)


@pytest.fixture
def connect(pg_settings: Settings) -> Iterator[Connect]:
    """Engines on one migrated database, as each process has its own; `timeout_s` changes `storage.timeout_s`."""
    engines: list[sa.Engine] = []

    def begin(timeout_s: float | None = None) -> sa.Engine:
        engines.append(database.connect(stored_at(pg_settings, str(pg_settings.storage.url), timeout_s)))
        return engines[-1]

    database.upgrade(begin())
    yield begin
    for engine in engines:
        engine.dispose()


@pytest.fixture
def pg_engine(connect: Connect) -> sa.Engine:
    return connect()


def waiting(engine: sa.Engine, event: str, at_least_s: float = 0) -> int:
    """How many connections to this database wait for an event (`wait_event` or its type in pg_stat_activity)."""
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND :event IN (wait_event, wait_event_type) AND clock_timestamp() - query_start > make_interval(secs => :s)"
    )
    # Within one transaction the view stands still.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return connection.execute(query, {"event": event, "s": at_least_s}).scalar_one()


@contextmanager
def stopped(server: PostgresServer, how: int) -> Iterator[None]:
    server.stop(how)
    try:
        yield
    finally:
        server.start()


@pytest.fixture
def start(each_settings: Settings, tmp_path: Path) -> Start:
    """Starts Python with these arguments, as an installation whose database is that of `each_settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    named = kept | {
        CONFIG_VARIABLE: str(CONFIG),
        f"{PREFIX}STORAGE__HOME": str(tmp_path / "var"),
        f"{PREFIX}STORAGE__URL": each_settings.database_url,
    }

    def begin(*arguments: str) -> Process:
        pipe = subprocess.PIPE
        command = [sys.executable, *arguments]
        return subprocess.Popen(command, cwd=tmp_path, env=named, text=True, stdin=pipe, stdout=pipe, stderr=pipe)

    return begin
