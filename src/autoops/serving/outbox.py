"""What an API process has taken in and the database does not have yet: a SQLite file of the process's own.

A row is committed here before its request is answered, and leaves in the order in which it came. Rows that have arrived
are kept for a while, so that a repeated request gets its first answer though the database is away.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from autoops import database, tables
from autoops.appender import SqliteAppender
from autoops.database import storage_errors
from autoops.predictions import Label, LoggedColumns, LoggedPrediction
from autoops.serving.arrivals import Mark, Receipt, Shipment

REMEMBERED = 50_000
"""Predictions that are kept once they have arrived."""

_IDS_PER_QUERY = 500

metadata = sa.MetaData()


def _waiting(table: sa.Table, *unique: str) -> sa.Table:
    """The columns of `table` behind a number that is never given twice, which says how far rows have arrived."""
    columns = [sa.Column(c.name, c.type, nullable=c.nullable, unique=c.name in unique) for c in table.c]
    number = sa.Column("number", sa.Integer, primary_key=True)
    kept = [column for column in columns if not (table is tables.ground_truth and column.name == "id")]
    return sa.Table(table.name, metadata, number, *kept, sqlite_autoincrement=True)


predictions = _waiting(tables.predictions, "id", "request_id")
ground_truth = _waiting(tables.ground_truth)
arrived = sa.Table(
    "arrived",
    metadata,
    sa.Column("predictions", sa.Integer, nullable=False),
    sa.Column("labels", sa.Integer, nullable=False),
)

_NAMES = [field.name for field in fields(LoggedPrediction)]
_COLUMNS = [predictions.c[name] for name in _NAMES]
_VALUES = attrgetter(*_NAMES)
_LABEL_COLUMNS = [ground_truth.c[name] for name in ("trip_duration_minutes", "prediction_id", "request_id")]


@dataclass(frozen=True)
class Waiting:
    """How many rows the database does not have, and since when the oldest of them waits."""

    rows: int
    since: datetime | None


class Outbox:
    """`append` and `put` belong to one thread, `next` and `arrive` to another."""

    def __init__(self, file: Path, timeout_s: float) -> None:
        self.id = file.stem
        self._engine = database.embedded(file, timeout_s)
        # Threads wait for each other here, and not for SQLite's lock, for which they would have to ask again and again.
        self._writing = threading.Lock()
        self._appender = SqliteAppender(self._engine, _COLUMNS, unique="request_id")
        self.replaced = 0
        with storage_errors(), self._engine.begin() as connection:
            metadata.create_all(connection)
            if (row := connection.execute(sa.select(arrived)).one_or_none()) is None:
                connection.execute(sa.insert(arrived).values(predictions=0, labels=0))
            self.mark = Mark(*row) if row else Mark()
            self.rows = sum(connection.execute(_count(*pair)).scalar_one() for pair in self._behind())

    def _behind(self) -> tuple[tuple[sa.Table, int], ...]:
        return (predictions, self.mark.predictions), (ground_truth, self.mark.labels)

    def close(self) -> None:
        self._appender.close()
        self._engine.dispose()

    def append(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        """Commits `rows` and returns, in their order, what stands here: for a `request_id` that is known, the
        earlier row."""
        with self._writing:
            new = self._appender.append([_VALUES(row) for row in rows])
            self.rows += new
        return list(rows) if new == len(rows) else self.standing(rows)

    def append_columns(self, columns: LoggedColumns) -> dict[int, LoggedPrediction]:
        """The same of rows that are given as columns; returns, by position, the earlier rows that stand instead."""
        with self._writing:
            new = self._appender.append_columns(columns.in_order())
            self.rows += new
        return {} if new == len(columns) else columns.others(self.standing(columns.rows()))

    def standing(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        request_ids = [row.request_id for row in rows if row.request_id is not None]
        found: dict[str | None, LoggedPrediction] = {}
        with storage_errors(), self._engine.connect() as connection:
            for some in _slices(request_ids):
                query = sa.select(*_COLUMNS).where(predictions.c.request_id.in_(some))
                found |= {row.request_id: LoggedPrediction(*row) for row in connection.execute(query)}
        return [found.get(row.request_id, row) for row in rows]

    def put(self, labels: Sequence[Label], labelled_at: datetime) -> None:
        """Commits all labels."""
        with self._writing, storage_errors(), self._engine.begin() as connection:
            values = [asdict(label) | {"labelled_at": labelled_at} for label in labels]
            connection.execute(sa.insert(ground_truth), values)
            self.rows += len(labels)

    def known(self, labels: Sequence[Label]) -> set[str | None]:
        """Of the ids that the labels name those whose prediction is remembered here."""
        known: set[str | None] = set()
        with storage_errors(), self._engine.connect() as connection:
            for name in ("prediction_id", "request_id"):
                column = predictions.c["id" if name == "prediction_id" else name]
                for some in _slices([named for label in labels if (named := getattr(label, name)) is not None]):
                    known.update(connection.scalars(sa.select(column).where(column.in_(some))))
        return known

    def end(self) -> Mark:
        """Of the rows that are here now."""
        with storage_errors(), self._engine.connect() as connection:
            ends = [connection.scalar(sa.select(sa.func.max(table.c.number))) or 0 for table, _ in self._behind()]
        return Mark(*(max(end, through) for end, (_, through) in zip(ends, self._behind(), strict=True)))

    def waiting(self) -> Waiting:
        since = []
        with storage_errors(), self._engine.connect() as connection:
            for (table, through), at in zip(self._behind(), ("predicted_at", "labelled_at"), strict=True):
                oldest = sa.select(table.c[at]).where(table.c.number > through).order_by(table.c.number).limit(1)
                since += list(connection.scalars(oldest))
        return Waiting(self.rows, min(since, default=None))

    def next(self, most: int) -> Shipment:
        """The oldest rows that have not arrived. Labels follow their predictions: they are read first and sent once
        no prediction is left behind."""
        with storage_errors(), self._engine.connect() as connection:
            labels = connection.execute(
                sa.select(ground_truth.c.number, ground_truth.c.labelled_at, *_LABEL_COLUMNS)
                .where(ground_truth.c.number > self.mark.labels)
                .order_by(ground_truth.c.number)
                .limit(most)
            ).all()
            rows = connection.execute(
                sa.select(predictions.c.number, *_COLUMNS)
                .where(predictions.c.number > self.mark.predictions)
                .order_by(predictions.c.number)
                .limit(most)
            ).all()
        return Shipment(
            [(number, LoggedPrediction(*row)) for number, *row in rows],
            [] if len(rows) == most else [(number, at, Label(*label)) for number, at, *label in labels],
        )

    def arrive(self, receipt: Receipt) -> None:
        """Notes what the database has, takes over which answers stand there, and forgets the oldest."""
        with self._writing:
            with storage_errors(), self._engine.begin() as connection:
                passed = zip(self._behind(), (receipt.mark.predictions, receipt.mark.labels), strict=True)
                counts = [_count(*pair, until) for pair, until in passed if until > pair[1]]
                gone = sum(connection.execute(count).scalar_one() for count in counts)
                self._take_over(connection, receipt)
            self.rows -= gone
            self.replaced += len(receipt.standing)
            self.mark = receipt.mark

    def _take_over(self, connection: sa.Connection, receipt: Receipt) -> None:
        for row in receipt.standing:
            same = predictions.c.request_id == row.request_id
            connection.execute(sa.update(predictions).where(same).values(asdict(row)))
        connection.execute(sa.update(arrived).values(asdict(receipt.mark)))
        if receipt.mark.labels > self.mark.labels:
            connection.execute(sa.delete(ground_truth).where(ground_truth.c.number <= receipt.mark.labels))
        oldest = receipt.mark.predictions - REMEMBERED
        if oldest > 0:
            connection.execute(sa.delete(predictions).where(predictions.c.number <= oldest))


def _count(table: sa.Table, after: int, until: int | None = None) -> sa.Select[Any]:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.number > after)
    return query if until is None else query.where(table.c.number <= until)


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY))
