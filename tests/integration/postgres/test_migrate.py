"""`autoops migrate` and what every API replica does at its start, on both databases."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from autoops import database, tables
from autoops.errors import StorageUnavailable
from autoops.instances import Instance, Instances
from autoops.predictions import PredictionLog, Scope
from autoops.settings import Settings
from tests.conftest import stored_at
from tests.eventually import eventually
from tests.integration.postgres.conftest import Start, waiting
from tests.unit.test_predictions import row

MIGRATE_WHEN_TOLD = """
from autoops import database
from autoops.settings import load_settings
engine = database.connect(load_settings())
engine.connect().close()
print("ready", flush=True)
input()
print(database.upgrade(engine)[0])
"""
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def empty(each_settings: Settings) -> Iterator[sa.Engine]:
    """A database without any table of ours."""
    engine = database.connect(each_settings)
    yield engine
    engine.dispose()


def migrate_to(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_it_says_from_where_to_where(empty: sa.Engine, start: Start) -> None:
    first, again = (json.loads(start("-m", "autoops.cli", "migrate", "--json").communicate()[0]) for _ in range(2))
    assert (first["before"], first["after"]) == (None, again["before"])
    assert again["before"] == again["after"]
    assert set(tables.metadata.tables) < set(sa.inspect(empty).get_table_names())


def test_what_stands_in_the_first_schema_is_kept(empty: sa.Engine) -> None:
    migrate_to(empty, "0001")
    logged = [row(n, request_id=f"ride-{n}") for n in range(50)]
    PredictionLog(empty).append(logged)
    with empty.begin() as connection:
        known = {"model_version": 3, "started_at": MOMENT, "seen_at": MOMENT}
        connection.execute(sa.insert(tables.instances).values(id="an-old-one", **known))

    before, after = database.upgrade(empty)
    assert before == "0001"
    assert after != "0001"
    assert PredictionLog(empty).latest(Scope(1), 100) == logged
    assert Instances(empty).serving(MOMENT) == [Instance("an-old-one", None, 3)]


def test_of_processes_that_migrate_at_once_one_does(empty: sa.Engine, start: Start) -> None:
    running = [start("-c", MIGRATE_WHEN_TOLD) for _ in range(6)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    ended = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * 6, ended
    newest = database.newest_revision()
    assert sorted(out for out, _ in ended) == [f"{newest}\n"] * 5 + ["None\n"]


@pytest.mark.parametrize("each_settings", ["postgresql"], indirect=True)
def test_a_migration_that_is_under_way_is_waited_for_beyond_the_timeout(each_settings: Settings) -> None:
    """A replica that gave up would be restarted again and again while the tables of a long log are rewritten."""
    engine = database.connect(stored_at(each_settings, each_settings.database_url, timeout_s=0.05))
    with engine.connect() as other:
        other.execute(sa.select(sa.func.pg_advisory_lock(database.MIGRATING)))
        found: list[object] = []
        migrating = threading.Thread(target=lambda: found.append(database.upgrade(engine)))
        migrating.start()
        eventually(lambda: waiting(engine, "advisory", at_least_s=0.2) or not migrating.is_alive())
        assert found == []
        other.execute(sa.select(sa.func.pg_advisory_unlock(database.MIGRATING)))
        migrating.join()
    assert found == [(None, database.newest_revision())]
    engine.dispose()


def test_a_database_of_a_newer_installation_is_refused(empty: sa.Engine) -> None:
    database.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageUnavailable, match="revision 9999"):
        database.upgrade(empty)
