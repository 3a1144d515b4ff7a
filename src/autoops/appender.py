"""The fast way of rows into a SQLite table: one statement for many rows, on a connection that stays open.

Under load the time of an insert goes elsewhere than into SQLite. The driver gives the interpreter away and fights
for it again at every statement, which costs milliseconds when each row is one; and a pooled connection with its
transaction costs more than the insert of a single row.
"""

import sqlite3
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from autoops.errors import StorageUnavailable

_ROWS_PER_STATEMENT = 256


class SqliteAppender:
    """Appends rows to `columns` of one table; a row that conflicts in `unique` is left out."""

    def __init__(self, engine: sa.Engine, columns: Sequence[sa.Column[Any]], unique: str) -> None:
        self._engine = engine
        self._table = columns[0].table.name
        self._names = tuple(column.name for column in columns)
        self._unique = unique
        converters = [column.type.dialect_impl(engine.dialect).bind_processor(engine.dialect) for column in columns]
        self._converters = [(position, convert) for position, convert in enumerate(converters) if convert]
        self._lock = threading.Lock()
        self._connection: sa.PoolProxiedConnection | None = None

    def append(self, rows: Sequence[Sequence[object]]) -> int:
        """Commits all rows but those that conflict and returns how many. Raises StorageUnavailable."""
        with self._lock:
            try:
                return self._commit(rows)
            except sqlite3.Error as error:
                self._close()
                if isinstance(error, sqlite3.OperationalError):
                    raise StorageUnavailable(f"database: {error}") from error
                raise

    def close(self) -> None:
        """Gives the connection up; another append would open one again."""
        with self._lock:
            self._close()

    def _commit(self, rows: Sequence[Sequence[object]]) -> int:
        if self._connection is None:
            self._connection = self._engine.raw_connection()
        driver: sqlite3.Connection = self._connection.driver_connection  # type: ignore[assignment]
        appended = 0
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            some = rows[start : start + _ROWS_PER_STATEMENT]
            statement = _insert(self._table, self._names, self._unique, len(some))
            appended += driver.execute(statement, self._parameters(some)).rowcount
        driver.commit()
        return appended

    def _parameters(self, rows: Sequence[Sequence[object]]) -> list[object]:
        parameters: list[object] = []
        for row in rows:
            values = list(row)
            for position, convert in self._converters:
                values[position] = convert(values[position])
            parameters += values
        return parameters

    def _close(self) -> None:
        """Whatever stood open is rolled back, and the next append begins anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()


@lru_cache(2 * _ROWS_PER_STATEMENT)
def _insert(table: str, names: tuple[str, ...], unique: str, rows: int) -> str:
    row = f"({', '.join('?' * len(names))})"
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * rows)} ON CONFLICT ({unique}) DO NOTHING"
    )
