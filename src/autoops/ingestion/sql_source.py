"""Months from a database: one query per month, with its begin and end as parameters."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from autoops.clock import Clock, SystemClock
from autoops.errors import NotPublished, SchemaError, SettingsError, SourceUnavailable
from autoops.ingestion.atomic_write import atomic_write, check_parquet
from autoops.ingestion.converted import Digest
from autoops.ingestion.declared import event_times, months_of
from autoops.ingestion.raw_files import PIECE_ROWS, declared_columns, require_columns, write_pieces
from autoops.ingestion.source import Progress, Source, SourceMetadata
from autoops.ingestion.url_source import Again, retrying
from autoops.months import Month
from autoops.usecase.contract import Contract

T = TypeVar("T")

_QUERY = "source.sql"
"""How messages name the query."""


class SqlSource(Source):
    """The rows that the query `source.sql` returns from the database at `url`.

    `:begin` and `:end` are dates: the first day of the month, and of the next one, in the time zone of the event time.
    PostgreSQL compares its times in this zone, too, and may only read. A month that is not over is not published.
    """

    def __init__(
        self,
        url: str,
        contract: Contract,
        *,
        timeout_s: float,
        attempts: int,
        backoff_s: float = 0.5,
        clock: Clock | None = None,
    ) -> None:
        self._contract = contract
        dates = (sa.bindparam(name, type_=sa.Date) for name in ("begin", "end"))
        self._query = sa.text((contract.source.sql or "").strip().rstrip(";")).bindparams(*dates)
        self._engine = _engine(url, timeout_s)
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._clock = clock or SystemClock()
        self.files = contract.source.fetched

    def published(self) -> list[Month]:
        """Return the months that are over and have rows, in order; asks for the first row after each.

        Raises:
            SchemaError: the query lacks a declared column, or returns rows from outside of `:begin` and `:end`.
            SourceUnavailable: the database does not answer, or refuses the query.
        """
        return self._attempt(self._held)

    def metadata(self, month: Month) -> SourceMetadata:
        """Return a digest of the month's rows as `etag`: only in the rows does it show that a label was added."""

        def read(connection: sa.Connection) -> SourceMetadata:
            digest = Digest()
            for _ in digest.over(self._rows(connection, month)):
                pass
            return digest.metadata

        return self._attempt(read)

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Write the month's rows to `target`, in the declared raw columns."""

        def write(connection: sa.Connection) -> SourceMetadata:
            digest = Digest()
            with atomic_write(target) as file:
                write_pieces(digest.over(self._rows(connection, month)), file, _QUERY)
                check_parquet(file, _QUERY)
                if progress:
                    progress(file.tell(), None)
            return digest.metadata

        return self._attempt(write)

    def _now(self) -> Month:
        return Month.of(self._clock.now(), self._contract.zone)

    def _held(self, connection: sa.Connection) -> list[Month]:
        now, name, found = self._now(), self._contract.raw_event_time, list[Month]()
        # First, because SQLite takes the quoted name of a missing column for a text.
        self._columns(self._run(connection, self._query, now, now))
        earliest = sa.select(sa.func.min(self._query.columns(sa.column(name)).subquery("of_query").c[name]))
        begin = Month(self._contract.event_time.earliest, 1)
        while begin < now and (first := self._run(connection, earliest, begin, now).scalar()) is not None:
            month = self._month_of(first)
            if not begin <= month < now:
                raise SchemaError(
                    f"{_QUERY}: returned a row of {first}, asked for {_first_day(begin)} to {_first_day(now)}; "
                    f"expected a condition such as {name} >= :begin AND {name} < :end"
                )
            found.append(month)
            begin = month.plus(1)
        return found

    def _month_of(self, time: object) -> Month:
        name = self._contract.raw_event_time
        (month,) = months_of(self._contract, event_times(self._contract, _table({name: 0}, [(time,)]), _QUERY))
        if np.isnat(month):
            raise SchemaError(f"{_QUERY}: column {name} holds {time!r}, expected a time, a date or ISO 8601 text")
        return Month.parse(str(month))

    def _rows(self, connection: sa.Connection, month: Month) -> Iterator[pa.Table]:
        """Yield the month's rows in the declared raw columns.

        Raises:
            NotPublished: there are none, or the month is not over.
        """
        if month >= self._now():
            raise NotPublished(f"{month} is not published: it is not over")
        rows, result = 0, self._run(connection, self._query, month, month.plus(1))
        columns = self._columns(result)
        tables = (_table(columns, part) for part in result.partitions(PIECE_ROWS))
        for table in declared_columns(self._contract, tables, _QUERY):
            rows += len(table)
            yield table
        if not rows:
            raise NotPublished(f"{month} is not published: {_QUERY} returns no row of it")

    def _columns(self, result: "sa.CursorResult[tuple[object, ...]]") -> dict[str, int]:
        """Return the positions of the columns to read: those declared, or all where a function makes these.

        Raises:
            SchemaError: the statement returns no rows, or not all of the columns.
        """
        if not result.returns_rows:
            raise SchemaError(f"{_QUERY}: returns no rows; expected a SELECT")
        names, contract = list(result.keys()), self._contract
        require_columns(() if contract.prepare else contract.source_columns, names, _QUERY)
        wanted = names if contract.prepare or contract.clean else contract.source_columns
        return {name: names.index(name) for name in wanted}

    def _run(
        self, connection: sa.Connection, query: sa.Executable, begin: Month, end: Month
    ) -> "sa.CursorResult[tuple[object, ...]]":
        return connection.execute(query, {"begin": _first_day(begin), "end": _first_day(end)})

    def _attempt(self, request: Callable[[sa.Connection], T]) -> T:
        try:
            return retrying(self._attempts, self._backoff_s, Again)(lambda: self._once(request))
        except Again as error:
            raise SourceUnavailable(f"data.source: {error}, in the last of {self._attempts} attempts") from error

    def _once(self, request: Callable[[sa.Connection], T]) -> T:
        with _connected(self._engine) as connection:
            try:
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.set_config("TimeZone", self._contract.event_time.zone, True)))
                return request(connection)
            except sa.exc.DBAPIError as error:
                if error.connection_invalidated:
                    raise Again(f"the connection was lost: {_reason(error)}") from error
                raise SourceUnavailable(f"{_QUERY}: the database refuses it: {_reason(error)}") from error


def _engine(url: str, timeout_s: float) -> sa.Engine:
    """Return an engine that keeps no connections.

    Raises:
        SettingsError: this is no URL of a database, or its driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
        bounded = parsed.get_backend_name() == "postgresql" and "connect_timeout" not in parsed.query
        return sa.create_engine(
            parsed,
            poolclass=sa.NullPool,
            connect_args={"connect_timeout": math.ceil(timeout_s)} if bounded else {},
            execution_options={"postgresql_readonly": True, "stream_results": True},
        )
    # `from None`: they quote the URL, which may hold a password that is not known as one.
    except (sa.exc.ArgumentError, ValueError):
        raise SettingsError(
            "data.source: no SQLAlchemy URL, which source.sql needs; expected one such as "
            "postgresql+psycopg://HOST/DATABASE"
        ) from None
    except ModuleNotFoundError as error:
        raise SettingsError(f"data.source: its driver {error.name} is not installed") from None


@contextmanager
def _connected(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection whose transaction is rolled back at the end.

    Raises:
        Again: the database does not answer.
        SourceUnavailable: the file of SQLite is not there, which would be made otherwise.
    """
    file = engine.url.database
    if engine.dialect.name == "sqlite" and not (file and (file.startswith("file:") or Path(file).is_file())):
        raise SourceUnavailable(f"data.source: there is no database {file}")
    try:
        connection = engine.connect()
    except sa.exc.DBAPIError as error:
        raise Again(f"no connection to the database: {_reason(error)}") from error
    with connection:
        yield connection


def _reason(error: sa.exc.DBAPIError) -> str:
    """Return the first line: what follows quotes the query."""
    return str(error.orig).partition("\n")[0]


def _first_day(month: Month) -> date:
    # A date and not a time: SQLite compares texts, and "2026-01-01" precedes each form of that day's times.
    return date(month.year, month.month, 1)


def _table(columns: dict[str, int], rows: Sequence[Sequence[object]]) -> pa.Table:
    made = {}
    for name, position in columns.items():
        try:
            made[name] = pa.array([row[position] for row in rows])
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise SchemaError(f"{_QUERY}: column {name}: {error}; cast it to one plain type in the query") from error
    return pa.table(made)
