"""The database's side of the outboxes: it stores every row once, however often it is sent.

The position up to which an outbox is stored is written in the same transaction as its rows. A process that ends before
it has noted this position sends the same rows again, and the inbox skips them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from autoops.clock import Clock
from autoops.storage import tables
from autoops.storage.database import storage_errors
from autoops.storage.predictions import Label, LoggedPrediction, as_logged


@dataclass(frozen=True)
class Mark:
    """A position in an outbox: the number of the last prediction and that of the last label."""

    predictions: int = 0
    labels: int = 0

    def beyond(self, other: "Mark") -> int:
        """Return by how many numbers, of predictions and labels together, this position is ahead of `other`."""
        return self.predictions - other.predictions + self.labels - other.labels


@dataclass(frozen=True)
class OutboxBatch:
    """Rows with their numbers in the outbox, in order; a label also with the time at which it was received.

    `after` is the position up to which the database has stored the outbox, as far as the outbox knows.
    """

    predictions: Sequence[tuple[int, LoggedPrediction]] = ()
    labels: Sequence[tuple[int, datetime, Label]] = ()
    after: Mark = field(default_factory=Mark)

    @property
    def end(self) -> Mark:
        """Return the position after the batch: its last numbers, and that of `after` for a kind without rows."""
        return Mark(
            self.predictions[-1][0] if self.predictions else self.after.predictions,
            self.labels[-1][0] if self.labels else self.after.labels,
        )


@dataclass(frozen=True)
class Receipt:
    """The position up to which the outbox is stored, and the logged rows that take precedence over sent ones.

    A row takes precedence if it was logged earlier for the same `request_id`.
    """

    mark: Mark
    standing: Sequence[LoggedPrediction] = field(default_factory=list)


_COLUMNS = [tables.predictions.c[each.name] for each in fields(LoggedPrediction)]
_TRUTH = [column for column in tables.ground_truth.c if column.name != "id"]


class Inbox:
    """Stores the batches of outboxes in PostgreSQL. A batch that failed can be sent again."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._kept: sa.Connection | None = None

    def take(self, outbox_id: str, batch: OutboxBatch) -> Receipt:
        """Commit the rows of the batch that are new.

        Raises:
            StorageUnavailable: the database is not available.
        """
        if self._take_at_once(outbox_id, batch):
            return Receipt(batch.end)
        return self._take_new(outbox_id, batch)

    def close(self) -> None:
        """Close the connection; another batch would open one again."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def _take_at_once(self, outbox_id: str, batch: OutboxBatch) -> bool:
        """Store the batch in one statement, on a connection that stays open, and return whether that was enough.

        It is not if the stored position differs from `batch.after`, if another row is logged for one of the requests,
        or if the connection is lost. In the first two cases nothing is stored.

        Raises:
            StorageUnavailable: the database is not available.
            DBAPIError: any other error of the database.
        """
        with storage_errors():
            try:
                if self._kept is None:
                    # One statement needs no BEGIN and COMMIT, which are two round trips.
                    self._kept = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                values = {**_values_at_once(outbox_id, batch, self._clock.now())}
                arriving = {row.request_id for _, row in batch.predictions}
                labels = _labelled(self._kept, [(at, label) for _, at, label in batch.labels], arriving)
                values |= _arrays(_TRUTH, labels)
                moved: int = self._kept.execute(_AT_ONCE, values).scalar_one()
                return moved == 1
            except sa.exc.DBAPIError as error:
                self.close()
                # A lost connection may only be stale, and the batch may be stored all the same:
                # `_take_new` opens another connection and reads the position first.
                if isinstance(error, sa.exc.IntegrityError) or error.connection_invalidated:
                    return False
                raise

    def _take_new(self, outbox_id: str, batch: OutboxBatch) -> Receipt:
        with storage_errors(), self._engine.begin() as connection:
            before = self._enter(connection, outbox_id)
            new = [row for number, row in batch.predictions if number > before.predictions]
            inserted = _insert_predictions(connection, new)
            # Also of rows that an earlier attempt has stored: its receipt may be lost.
            standing = _standing(connection, [row for _, row in batch.predictions if row.id not in inserted])
            labels = [(at, label) for number, at, label in batch.labels if number > before.labels]
            _insert_labels(connection, labels)
            end = batch.end
            # The stored position may be ahead, if a killed process had not noted it.
            mark = Mark(max(before.predictions, end.predictions), max(before.labels, end.labels))
            through = {"predictions_through": mark.predictions, "labels_through": mark.labels}
            table = tables.outboxes
            connection.execute(sa.update(table).where(table.c.id == outbox_id).values(through))
        return Receipt(mark, standing)

    def _enter(self, connection: sa.Connection, outbox_id: str) -> Mark:
        """Return the position up to which the outbox is stored.

        Locks it: another process that sends rows of this outbox waits until this transaction ends.
        """
        table, now = tables.outboxes, self._clock.now()
        enter = (
            postgresql.insert(table)
            .values(id=outbox_id, predictions_through=0, labels_through=0, seen_at=now)
            .on_conflict_do_update(index_elements=["id"], set_={"seen_at": now})
            .returning(table.c.predictions_through, table.c.labels_through)
        )
        return Mark(*connection.execute(enter).one())

    def retire(self, outbox_id: str) -> None:
        """Delete the position of an outbox that was removed.

        Raises:
            StorageUnavailable: the database is not available.
        """
        with storage_errors(), self._engine.begin() as connection:
            connection.execute(sa.delete(tables.outboxes).where(tables.outboxes.c.id == outbox_id))


def _ordered(rows: Iterable[LoggedPrediction]) -> list[LoggedPrediction]:
    """Return the rows in the order of their request_ids.

    Processes that insert the same requests wait for each other; with one order everywhere they cannot deadlock.
    """
    return sorted(rows, key=lambda row: row.request_id or "")


def _insert_predictions(connection: sa.Connection, rows: Sequence[LoggedPrediction]) -> set[str]:
    """Insert the rows, and return the ids of those that are new in the log."""
    if not rows:
        return set()
    insert = _insert(_COLUMNS).on_conflict_do_nothing().returning(tables.predictions.c.id)
    return set(connection.scalars(insert, _arrays(_COLUMNS, [asdict(row) for row in _ordered(rows)])))


def _standing(connection: sa.Connection, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
    """Return the logged rows that have a request_id of these rows and another id."""
    sent: dict[str | None, LoggedPrediction] = {row.request_id: row for row in rows if row.request_id is not None}
    if not sent:
        return []
    # One parameter, so that the statement is the same for any number of ids.
    ids = sa.bindparam(None, list(sent), type_=postgresql.ARRAY(sa.String))
    query = sa.select(*_COLUMNS).where(tables.predictions.c.request_id == sa.any_(ids))
    logged = [LoggedPrediction(*row) for row in connection.execute(query)]
    return [row for row in logged if row.id != sent[row.request_id].id]


def _insert_labels(connection: sa.Connection, labels: Sequence[tuple[datetime, Label]]) -> None:
    if labels:
        connection.execute(_insert(_TRUTH), _arrays(_TRUTH, _labelled(connection, labels)))


def _labelled(
    connection: sa.Connection, labels: Sequence[tuple[datetime, Label]], arriving: Collection[str | None] = ()
) -> list[Mapping[str, object]]:
    named = as_logged(connection, [label for _, label in labels], arriving)
    return [
        {
            "prediction_id": label.prediction_id,
            "request_id": label.request_id,
            "target": label.target,
            "labelled_at": at,
        }
        for (at, _), label in zip(labels, named, strict=True)
    ]


def _insert(columns: Sequence[sa.Column[Any]], condition: sa.ColumnElement[bool] | None = None) -> postgresql.Insert:
    """Return one statement for many rows, with an array for each column: a tenth of the time of a statement per row."""
    # One dimension, because raw values are arrays themselves, and would become a second one.
    arrays = [sa.bindparam(_array(column), type_=postgresql.ARRAY(column.type, dimensions=1)) for column in columns]
    unnested = sa.func.unnest(*arrays).table_valued(*(sa.column(c.name, c.type) for c in columns)).render_derived()
    rows = sa.select(unnested) if condition is None else sa.select(unnested).where(condition)
    return postgresql.insert(columns[0].table).from_select([column.name for column in columns], rows)


def _array(column: sa.Column[Any]) -> str:
    """Return the name of the parameter that has the column's values."""
    return f"{column.table.name}_{column.name}"


def _arrays(columns: Sequence[sa.Column[Any]], rows: Sequence[Mapping[str, object]]) -> dict[str, list[Any]]:
    return {_array(column): [row[column.name] for row in rows] for column in columns}


def _at_once() -> sa.Select[Any]:
    """Return the statement that stores a batch if the stored position is the one that the outbox expects.

    It updates the position, inserts the rows only if that succeeded, and returns the number of updated positions.
    """
    mark, bound = tables.outboxes.c, sa.bindparam
    expected = (mark.id == bound("outbox_id")) & (mark.predictions_through == bound("after_predictions"))
    moved = (
        sa.update(tables.outboxes)
        .where(expected, mark.labels_through == bound("after_labels"))
        .values(predictions_through=bound("predictions"), labels_through=bound("labels"), seen_at=bound("now"))
        .returning(mark.id)
        .cte("moved")
    )
    # Without ON CONFLICT: a known request_id fails the statement, and `_take_new` resolves it.
    inserts = [_insert(columns, sa.exists().select_from(moved)).cte() for columns in (_COLUMNS, _TRUTH)]
    # PostgreSQL executes the inserts of a WITH although nothing reads them.
    return sa.select(sa.func.count()).select_from(moved).add_cte(*inserts)


_AT_ONCE = _at_once()


def _values_at_once(outbox_id: str, batch: OutboxBatch, now: datetime) -> Mapping[str, object]:
    predictions = [asdict(row) for row in _ordered(row for _, row in batch.predictions)]
    return {
        "outbox_id": outbox_id,
        "after_predictions": batch.after.predictions,
        "after_labels": batch.after.labels,
        "predictions": batch.end.predictions,
        "labels": batch.end.labels,
        "now": now,
        **_arrays(_COLUMNS, predictions),
    }
