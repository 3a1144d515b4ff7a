from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from autoops.errors import SettingsError, StorageUnavailable
from autoops.settings import Settings
from autoops.storage import database, tables


def test_the_migrations_lead_to_the_schema_that_the_code_uses(each_engine: sa.Engine) -> None:
    with each_engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_upgrading_again_changes_nothing(each_engine: sa.Engine) -> None:
    database.upgrade(each_engine)
    assert "predictions" in sa.inspect(each_engine).get_table_names()


def test_a_database_belongs_to_the_use_case_of_its_first_start(each_engine: sa.Engine) -> None:
    database.upgrade(each_engine, "car_loan")
    database.upgrade(each_engine, "car_loan")
    with pytest.raises(SettingsError) as refused:
        database.upgrade(each_engine, "hotel")
    assert "is that of the use case car_loan, and this installation's is hotel: " in str(refused.value)


def test_the_refusal_of_a_database_names_it_without_its_password(each_settings: Settings) -> None:
    engine = database.connect(each_settings)
    database.upgrade(engine, "car_loan")
    engine.url = engine.url.set(username="me", password="hidden-in-the-url")
    with pytest.raises(SettingsError) as refused:
        database.upgrade(engine, "hotel")
    assert f"/{str(engine.url.database).lstrip('/')} is that of" in str(refused.value)
    assert "hidden-in-the-url" not in refused.value.args[0]
    engine.dispose()


def test_of_first_starts_at_the_same_time_one_gets_the_database(each_engine: sa.Engine) -> None:
    together = Barrier(4)

    def start(use_case: str) -> bool:
        together.wait()
        try:
            database.upgrade(each_engine, use_case)
        except SettingsError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(start, "abcd")) == 1


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
