"""Fast inserts into a SQLite table: one statement for many rows, on a connection that stays open.

Under load an insert spends most of its time outside SQLite. The driver releases the GIL at every statement and waits to
get it back, which costs milliseconds if each row is a statement; and a pooled connection with its transaction costs
more than the insert of a single row. Values are converted by columns, because a request's rows share many of them.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import sqlalchemy as sa

from autoops.errors import StorageUnavailable
from autoops.storage.tables import RawValues, UtcDateTime

Column = Sequence[Any] | npt.NDArray[Any]
"""The values of one column, shape (rows,); timestamps as aware datetimes or as datetime64[us] in UTC."""

# 13 columns make some 3,300 parameters, of which SQLite takes 32,766.
_ROWS_PER_STATEMENT = 256
_NO_VALUE = object()


class SqliteAppender:
    """Appends rows to `columns` of one table; a row that conflicts in the column `unique` is left out."""

    def __init__(self, engine: sa.Engine, columns: Sequence[sa.Column[Any]], unique: str) -> None:
        self._engine = engine
        assert all(column.server_default is None for column in columns), "what is left out is NULL"
        self._table = columns[0].table.name
        self._unique = unique
        self._columns = [(column.name, _converter(column, engine.dialect)) for column in columns]
        self._lock = threading.Lock()
        self._connection: sa.PoolProxiedConnection | None = None

    def append(self, rows: Sequence[Sequence[object]]) -> int:
        """Commit all rows but those that conflict and return how many.

        Raises:
            StorageUnavailable: the database is locked, full or cannot be written to.
            Error: any other error of SQLite (`sqlite3.Error`).
        """
        return self.append_columns(list(zip(*rows, strict=True))) if rows else 0

    def append_columns(self, columns: Sequence[Column]) -> int:
        """Commit rows given as columns of one length, all but those that conflict, and return how many.

        Raises:
            StorageUnavailable: the database is locked, full or cannot be written to.
            Error: any other error of SQLite (`sqlite3.Error`).
        """
        # Binding NULL takes as long as binding a value, so columns without any value (key, request_id) are left out.
        given = [(own, column) for own, column in zip(self._columns, columns, strict=True) if not _is_empty(column)]
        names = tuple(name for (name, _), _ in given)
        rows = list(zip(*(_plain(column, convert) for (_, convert), column in given), strict=True))
        with self._lock:
            try:
                return self._commit(names, rows)
            except sqlite3.Error as error:
                self._close()
                if isinstance(error, sqlite3.OperationalError):
                    raise StorageUnavailable(f"database: {error}") from error
                raise

    def close(self) -> None:
        """Close the connection; another append would open a new one."""
        with self._lock:
            self._close()

    def _commit(self, names: tuple[str, ...], rows: Sequence[Sequence[object]]) -> int:
        if self._connection is None:
            self._connection = self._engine.raw_connection()
        driver: sqlite3.Connection = self._connection.driver_connection  # type: ignore[assignment]
        appended = 0
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            some = rows[start : start + _ROWS_PER_STATEMENT]
            statement = _insert(self._table, names, self._unique, len(some))
            appended += driver.execute(statement, tuple(chain.from_iterable(some))).rowcount
        # sqlite3 has begun the transaction itself, at the first INSERT.
        driver.commit()
        return appended

    def _close(self) -> None:
        """Invalidate the connection, which rolls back its open transaction; the next append opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()


def insert_rows(connection: sa.Connection, columns: Sequence[sa.Column[Any]], values: Sequence[Column]) -> None:
    """Insert rows, given as the values of their columns, within SQLAlchemy's transaction on SQLite."""
    table, names = columns[0].table.name, tuple(column.name for column in columns)
    converters = [_converter(column, connection.dialect) for column in columns]
    rows = list(zip(*map(_plain, values, converters), strict=True))
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        some = rows[start : start + _ROWS_PER_STATEMENT]
        statement = _insert(table, names, None, len(some))
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(some)))


Converter = Callable[[Any], object]


def _converter(column: sa.Column[Any], dialect: sa.Dialect) -> Converter | None:
    if isinstance(column.type, UtcDateTime):
        return _utc_text
    if isinstance(column.type, RawValues):
        return _json_text
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def _is_empty(column: Column) -> bool:
    """Return whether no row has a value in this column."""
    if isinstance(column, np.ndarray) or not column or column[0] is not None:
        return False
    return column.count(None) == len(column)


def _plain(column: Column, convert: Converter | None) -> Iterable[object]:
    """Return the values as the driver takes them."""
    if isinstance(column, np.ndarray):
        return _utc_texts(column) if column.dtype.kind == "M" else column.tolist()
    return column if convert is None else _converted(column, convert)


def _converted(values: Iterable[Any], convert: Converter) -> Iterator[object]:
    """Yield converted values. Rows of one request often share a value, which is converted once."""
    last: object = _NO_VALUE
    result = None
    for value in values:
        if value is not last:
            last, result = value, convert(value)
        yield result


def _json_text(values: tuple[Any, ...]) -> str:
    """Return raw values as the engine's serializer writes them, without SQLAlchemy's work around it for each row."""
    return orjson.dumps(values).decode()


def _utc_text(value: datetime | None) -> str | None:
    """Return a timestamp as SQLAlchemy writes it into SQLite, in a third of its time."""
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _utc_texts(moments: npt.NDArray[np.datetime64]) -> list[str]:
    """Return timestamps, shape (rows,), as `_utc_text` does: with a blank in place of numpy's T."""
    texts = np.datetime_as_string(moments, unit="us")
    # numpy holds text as UCS-4: one uint32 for each character.
    texts.view(np.uint32).reshape(len(texts), -1)[:, len("2023-01-15")] = ord(" ")
    as_list: list[str] = texts.tolist()
    return as_list


@lru_cache(8 * _ROWS_PER_STATEMENT)
def _insert(table: str, names: tuple[str, ...], unique: str | None, rows: int) -> str:
    row = f"({', '.join('?' * len(names))})"
    conflict = f" ON CONFLICT ({unique}) DO NOTHING" if unique else ""
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * rows)}{conflict}"
