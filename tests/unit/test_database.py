from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from autoops.errors import StorageUnavailable
from autoops.settings import Settings
from autoops.storage import database, tables


def test_the_migrations_lead_to_the_schema_that_the_code_uses(each_engine: sa.Engine) -> None:
    with each_engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_upgrading_again_changes_nothing(each_engine: sa.Engine) -> None:
    database.upgrade(each_engine)
    assert "predictions" in sa.inspect(each_engine).get_table_names()


def test_sqlite_writes_ahead(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"


def test_of_those_that_make_one_database_at_the_same_time_none_fails(tmp_path: Path) -> None:
    together = Barrier(4)

    def connect(engine: sa.Engine) -> object:
        together.wait()
        with database.storage_errors(), engine.connect() as connection:
            return connection.scalar(sa.text("PRAGMA journal_mode"))

    with ThreadPoolExecutor(4) as pool:
        for number in range(50):
            engines = [database.embedded(tmp_path / f"{number}.db", timeout_s=15) for _ in range(4)]
            assert list(pool.map(connect, engines)) == ["wal"] * 4
            for engine in engines:
                engine.dispose()


def test_a_locked_database_is_reported_after_its_timeout(settings: Settings, engine: sa.Engine) -> None:
    hasty = settings.model_copy(update={"storage": settings.storage.model_copy(update={"timeout_s": 0.05})})
    other = database.connect(hasty)
    with engine.begin() as holder:
        holder.execute(sa.text("DELETE FROM claims"))
        with (
            pytest.raises(StorageUnavailable, match="locked"),
            database.storage_errors(),
            other.begin() as connection,
        ):
            connection.execute(sa.text("DELETE FROM claims"))
    other.dispose()


def test_an_unreachable_database_is_a_storage_error(settings: Settings) -> None:
    nowhere = settings.model_copy(
        update={"storage": settings.storage.model_copy(update={"url": "sqlite:////proc/nowhere/a.db"})}
    )
    with pytest.raises(StorageUnavailable, match="/proc/nowhere"):
        database.connect(nowhere)
