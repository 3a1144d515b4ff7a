"""What the database takes from outboxes: every row once, however often it is sent.

How far an outbox has been taken in is written in the same transaction as its rows. A process that ends before it has
noted an arrival sends the same rows again, and they are left out.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from autoops import tables
from autoops.clock import Clock
from autoops.database import storage_errors
from autoops.predictions import Label, LoggedPrediction


@dataclass(frozen=True)
class Mark:
    """The number of the last prediction and of the last label."""

    predictions: int = 0
    labels: int = 0

    def reaches(self, other: "Mark") -> bool:
        return self.predictions >= other.predictions and self.labels >= other.labels


@dataclass(frozen=True)
class Shipment:
    """Rows with their numbers in the outbox, in order; a label with the moment at which it was taken in."""

    predictions: Sequence[tuple[int, LoggedPrediction]] = ()
    labels: Sequence[tuple[int, datetime, Label]] = ()

    @property
    def end(self) -> Mark:
        return Mark(
            self.predictions[-1][0] if self.predictions else 0,
            self.labels[-1][0] if self.labels else 0,
        )


@dataclass(frozen=True)
class Receipt:
    """How far the outbox has arrived, and what stands in the log where another row was sent for the same request."""

    mark: Mark
    standing: Sequence[LoggedPrediction] = field(default_factory=list)


_COLUMNS = [tables.predictions.c[each.name] for each in fields(LoggedPrediction)]
_TRUTH = [column for column in tables.ground_truth.c if column.name != "id"]


class Arrivals:
    """On PostgreSQL. Raises StorageUnavailable when the database fails; nothing has arrived then."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def take(self, outbox_id: str, shipment: Shipment) -> Receipt:
        """Commits what is new of the shipment."""
        with storage_errors(), self._engine.begin() as connection:
            before = self._enter(connection, outbox_id)
            new = [row for number, row in shipment.predictions if number > before.predictions]
            inserted = _insert_predictions(connection, new)
            standing = _standing(connection, [row for _, row in shipment.predictions if row.id not in inserted])
            labels = [(at, label) for number, at, label in shipment.labels if number > before.labels]
            _insert_labels(connection, labels)
            end = shipment.end
            mark = Mark(max(before.predictions, end.predictions), max(before.labels, end.labels))
            through = {"predictions_through": mark.predictions, "labels_through": mark.labels}
            table = tables.outboxes
            connection.execute(sa.update(table).where(table.c.id == outbox_id).values(through))
        return Receipt(mark, standing)

    def _enter(self, connection: sa.Connection, outbox_id: str) -> Mark:
        """How far the outbox has been taken in. Whoever else sends from it waits until this transaction ends."""
        table, now = tables.outboxes, self._clock.now()
        enter = (
            postgresql.insert(table)
            .values(id=outbox_id, predictions_through=0, labels_through=0, seen_at=now)
            .on_conflict_do_update(index_elements=["id"], set_={"seen_at": now})
            .returning(table.c.predictions_through, table.c.labels_through)
        )
        return Mark(*connection.execute(enter).one())

    def retire(self, outbox_id: str) -> None:
        """The outbox is no more."""
        with storage_errors(), self._engine.begin() as connection:
            connection.execute(sa.delete(tables.outboxes).where(tables.outboxes.c.id == outbox_id))


def _insert_predictions(connection: sa.Connection, rows: Sequence[LoggedPrediction]) -> set[str]:
    """The ids that are new in the log. Of processes that send the same requests the one waits for the other, in one
    order everywhere, so that they never wait in a circle."""
    if not rows:
        return set()
    ordered = sorted(rows, key=lambda row: row.request_id or "")
    insert = _insert(_COLUMNS, [asdict(row) for row in ordered]).on_conflict_do_nothing()
    return set(connection.scalars(insert.returning(tables.predictions.c.id)))


def _standing(connection: sa.Connection, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
    """What the log has for the requests of these rows, where it is another answer than theirs; keeps which it was, so
    that ground truth which names the one finds the other."""
    sent: dict[str | None, LoggedPrediction] = {row.request_id: row for row in rows if row.request_id is not None}
    if not sent:
        return []
    ids = sa.bindparam(None, list(sent), type_=postgresql.ARRAY(sa.String))
    query = sa.select(*_COLUMNS).where(tables.predictions.c.request_id == sa.any_(ids))
    logged = [LoggedPrediction(*row) for row in connection.execute(query)]
    standing = [row for row in logged if row.id != sent[row.request_id].id]
    if standing:
        repeats = list(tables.repeats.c)
        lost = [asdict(sent[row.request_id]) for row in standing]
        values = [row | {"prediction_id": row["id"]} for row in lost]
        connection.execute(_insert(repeats, values).on_conflict_do_nothing())
    return standing


def _insert_labels(connection: sa.Connection, labels: Sequence[tuple[datetime, Label]]) -> None:
    if labels:
        values = [asdict(label) | {"labelled_at": at} for at, label in labels]
        connection.execute(_insert(_TRUTH, values))


def _insert(columns: Sequence[sa.Column[Any]], rows: Sequence[dict[str, Any]]) -> postgresql.Insert:
    """One statement for many rows, each column of them an array: a tenth of the time of a statement for each."""
    arrays = [
        sa.bindparam(None, [row[column.name] for row in rows], type_=postgresql.ARRAY(column.type))
        for column in columns
    ]
    unnested = sa.func.unnest(*arrays).table_valued(*(sa.column(c.name, c.type) for c in columns)).render_derived()
    names = [column.name for column in columns]
    return postgresql.insert(columns[0].table).from_select(names, sa.select(unnested))
