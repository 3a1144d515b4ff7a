"""Months from a database by a query, on SQLite and on PostgreSQL."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from autoops.errors import NotPublished, SchemaError, SettingsError, SourceUnavailable
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.sources import open_source
from autoops.ingestion.sql_source import SqlSource
from autoops.ingestion.store import MonthStore
from autoops.settings import Data
from autoops.usecase import declaration
from autoops.usecase.contract import Contract
from tests.ports import free_port
from tests.unit.ingestion.test_converted import DECLARED, FEBRUARY, JANUARY, MARCH

COLUMNS = 'at, paid, price, items AS "Items", code, shelf, member, number'
SQL = f"SELECT {COLUMNS}, note FROM sales WHERE at >= :begin AND at < :end"
TYPES = "paid numeric(9, 2), price float, items int, code text, shelf int, member boolean, number bigint, note text"
ROWS = "({at}, 7.50, NULL, {n}, NULL, 7, {member}, {n}, 'x')"
PASSWORD = "s3cret-hunter2"


def contract_of(sql: str = SQL, **changes: Any) -> Contract:
    return declaration.parse(DECLARED | {"source": {"sql": sql}} | changes, "shop.yaml")


def source_of(url: str, sql: str = SQL, **changes: Any) -> SqlSource:
    return SqlSource(url, contract_of(sql, **changes), timeout_s=5, attempts=2, backoff_s=0.01)


def fill(url: str, kind: str, *times: str) -> None:
    """Make the table anew, with times of this type of column."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS sales"))
        connection.execute(sa.text(f"CREATE TABLE sales (at {kind}, {TYPES})"))
        for n, at in enumerate(times):
            row = ROWS.format(at=f"'{at}'".replace(":", r"\:"), n=n, member="NULL" if n else "true")
            connection.execute(sa.text(f"INSERT INTO sales VALUES {row}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres").new_database()
        return
    yield f"sqlite:///{tmp_path / 'shop.db'}"


def numbers(source: SqlSource, month: Any, tmp_path: Path) -> list[int]:
    assert source.fetch(month, tmp_path / "month.parquet") == source.metadata(month)
    return sorted(pq.read_table(tmp_path / "month.parquet")["number"].to_pylist())


def test_a_query_returns_the_rows_of_each_month_that_has_some(url: str, tmp_path: Path) -> None:
    times = ("2026-01-01 00:00:00", "2026-01-31 23:59:59.5", "2026-03-01 00:00:00", "2099-01-01 00:00:00")
    fill(url, "timestamp", *times)
    source = source_of(url)
    assert source.published() == [JANUARY, MARCH]
    assert numbers(source, JANUARY, tmp_path) == [0, 1]
    assert pq.read_schema(tmp_path / "month.parquet").names == list(contract_of().raw_columns)
    assert numbers(source, MARCH, tmp_path) == [2]
    with pytest.raises(NotPublished, match="2026-02 is not published"):
        source.metadata(FEBRUARY)


@pytest.mark.parametrize(("kind", "zone"), [("timestamptz", "Asia/Kolkata"), ("date", "America/New_York")])
def test_begin_and_end_are_days_of_the_event_times_zone(kind: str, zone: str, postgres: Any, tmp_path: Path) -> None:
    url = postgres.new_database()
    # In UTC the first one is of December, 18:30.
    fill(url, kind, "2026-01-01 00:00:00+05:30", "2026-01-31 23:59:59+05:30", "2026-03-01 00:00:00+05:30")
    source = source_of(url, event_time={"column": "at", "zone": zone})
    assert source.published() == [JANUARY, MARCH]
    assert numbers(source, JANUARY, tmp_path) == [0, 1]


@pytest.mark.parametrize("form", ["2026-02-01", "2026-02-01T00:00", "2026-02-01 00:00:00", "2026-02-01 00:00:00.000"])
def test_midnight_in_sqlite_is_the_day_that_it_begins(form: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    fill(url, "text", form)
    assert source_of(url).published() == [FEBRUARY]


def test_a_label_that_is_added_publishes_its_month_again(url: str, tmp_path: Path) -> None:
    fill(url, "timestamp", "2026-01-03 10:00:00", "2026-03-03 10:00:00", "2026-03-04 10:00:00")
    source, store = source_of(url), MonthStore(tmp_path / "months", cleaner_of(contract_of()))
    assert [store.ingest(source, MARCH).status for _ in range(2)] == ["ingested", "unchanged"]
    january = store.ingest(source, JANUARY)
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("UPDATE sales SET paid = 9 WHERE number = 1"))
    again = store.ingest(source, MARCH)
    assert (again.status, again.rows) == ("republished", 2)
    assert store.ingest(source, JANUARY).metadata == january.metadata


@pytest.mark.parametrize(
    ("sql", "error", "says"),
    [
        (f"SELEC {SQL[6:]}", SourceUnavailable, r"source\.sql: the database refuses it: .*syntax error"),
        (SQL.replace("sales", "sails"), SourceUnavailable, r"source\.sql: the database refuses it: .*sails"),
        (SQL.replace("code,", ""), SchemaError, r"source\.sql: column code is missing; there are at, paid, price"),
        (SQL.replace("at, paid", "at AS booked, paid"), SchemaError, r"source\.sql: column at is missing"),
        (SQL.replace("note", "code"), SchemaError, "column code is there 2 times"),
        (SQL.replace("at >= :begin AND", "at > :begin OR"), SchemaError, r"expected a condition such as at >= :begin"),
    ],
)
def test_a_query_that_is_wrong_is_said(sql: str, error: type[Exception], says: str, url: str, tmp_path: Path) -> None:
    fill(url, "timestamp", "2026-01-03 10:00:00", "2026-03-03 10:00:00")
    with pytest.raises(error, match=says):
        source_of(url, sql).published()
    if "begin OR" not in sql:
        with pytest.raises(error, match=says):
            source_of(url, sql).fetch(MARCH, tmp_path / "march.parquet")
    assert not (tmp_path / "march.parquet").exists()


def test_a_query_without_permission_or_that_writes_is_refused(postgres: Any, tmp_path: Path) -> None:
    url = postgres.new_database()
    fill(url, "timestamp", "2026-01-03 10:00:00")
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("CREATE ROLE stranger LOGIN"))
        connection.execute(sa.text("CREATE SEQUENCE readers"))
    stranger = sa.make_url(url).set(username="stranger", password=PASSWORD).render_as_string(hide_password=False)
    with pytest.raises(SourceUnavailable, match="permission denied for table sales") as refused:
        source_of(stranger).published()
    assert PASSWORD not in str(refused.value)
    counting = source_of(url, SQL.replace("note", "nextval('readers') AS note"))
    with pytest.raises(SourceUnavailable, match="read-only transaction"):
        counting.fetch(JANUARY, tmp_path / "january.parquet")


def test_a_database_that_does_not_answer_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"postgresql+psycopg://reader:{PASSWORD}@127.0.0.1:{free_port()}/shop"
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceUnavailable, match="last of 2 attempts") as refused:
        source_of(url).published()
    assert PASSWORD not in f"{refused.value}{caplog.text}"
    with pytest.raises(SourceUnavailable, match=r"there is no database .*none\.db"):
        source_of(f"sqlite:///{tmp_path / 'none.db'}").published()
    assert not (tmp_path / "none.db").exists()


def test_a_month_that_is_not_over_is_not_published(url: str) -> None:
    now = datetime.now(UTC)
    fill(url, "timestamp", "2026-01-03 10:00:00", f"{now:%Y-%m-%d %H:%M:%S}")
    assert source_of(url).published() == [JANUARY]


def test_what_is_no_database_is_refused_without_its_password() -> None:
    for url in ("data", f"postgresql:/reader:{PASSWORD}@host", f"postgresql://reader:{PASSWORD}@host:port/shop"):
        with pytest.raises(SettingsError, match=r"data\.source: no SQLAlchemy URL") as refused:
            open_source(Data(source=url), contract_of())
        assert PASSWORD not in str(refused.value)
    with pytest.raises(SettingsError, match=r"data\.source: its driver \w+ is not installed"):
        open_source(Data(source="mysql+mysqldb://host/shop"), contract_of())
    with pytest.raises(SettingsError, match="a database needs a query"):
        open_source(Data(source="postgresql://host/shop"), declaration.load("taxi"))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"sql": "SELECT * FROM sales"}, r"source\.sql: expected a query with the parameters :begin and :end"),
        ({"sql": f"{SQL} AND number = :x"}, r"source\.sql: expected .* and no others"),
        ({"sql": SQL, "files": "sales.csv"}, "source: sql and files are both there"),
        ({"location": f"postgresql://a:{PASSWORD}@host/shop"}, r"source\.location: holds a password; set data\.source"),
    ],
)
def test_a_declared_query_is_checked(source: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        declaration.parse(DECLARED | {"source": source}, "shop.yaml")
    assert PASSWORD not in str(refused.value)
