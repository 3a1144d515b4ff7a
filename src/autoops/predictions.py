"""The prediction log: every prediction a version made, and the ground truth that came back for it.

Ground truth is append-only and joined when it is read: a label for an id that is not known yet is pending, not lost,
and of two labels for one prediction the later counts while both are kept.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from autoops import tables
from autoops.appender import SqliteAppender, insert_rows
from autoops.database import storage_errors
from autoops.logged import FIELDS, KEY_ENDS, LIVE, LoggedColumns, LoggedPrediction, as_sent


@dataclass(frozen=True, slots=True)
class Label:
    """Ground truth for one prediction, which either id may name."""

    trip_duration_minutes: float
    prediction_id: str | None = None
    request_id: str | None = None


LabelStatus = Literal["attached", "pending"]


@dataclass(frozen=True)
class Scope:
    """Which rows a window may hold: those of one version, of live traffic or of one scored month,
    predicted since the version was last promoted."""

    model_version: int
    source: str = LIVE
    since: datetime | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        table = tables.predictions.c
        condition = (table.model_version == self.model_version) & (table.source == self.source)
        return condition if self.since is None else condition & (table.predicted_at >= self.since)


@dataclass(frozen=True, slots=True)
class LabelledPrediction:
    """A logged prediction with its ground truth; `label_id` orders labels by arrival."""

    logged: LoggedPrediction
    trip_duration_minutes: float
    label_id: int


__all__ = [
    "LIVE",
    "Label",
    "LabelStatus",
    "LabelledPrediction",
    "LoggedColumns",
    "LoggedPrediction",
    "PredictionLog",
    "Scope",
]

_COLUMNS = [tables.predictions.c[name] for name in FIELDS]
_VALUES = attrgetter(*FIELDS)
_LABEL = ("prediction_id", "request_id", "trip_duration_minutes")
_INSERT = (
    postgresql.insert(tables.predictions)
    .on_conflict_do_nothing(index_elements=["request_id"])
    .execution_options(preserve_rowcount=True)
)
"""PostgreSQL's; where two processes log the same requests, the one waits for the other at each."""


class PredictionLog:
    """Appends and reads; every method is one transaction and raises StorageUnavailable when it fails."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        sqlite = engine.dialect.name == "sqlite"
        self._appender = SqliteAppender(engine, _COLUMNS, unique="request_id") if sqlite else None

    @property
    def engine(self) -> sa.Engine:
        return self._engine

    def append(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        """Commits `rows` and returns, in their order, what stands in the log: for a `request_id` that
        was logged before, the earlier row."""
        if not rows:
            return []
        return list(rows) if self._append(rows) == len(rows) else self._standing(rows)

    def append_columns(self, columns: LoggedColumns) -> dict[int, LoggedPrediction]:
        """The same of rows that are given as columns; returns, by position, the earlier rows that stand instead."""
        if self._appender is None:
            return columns.others(self.append(columns.rows()))
        if self._appender.append_columns(columns.in_order()) == len(columns):
            return {}
        return columns.others(self._standing(columns.rows()))

    def _append(self, rows: Sequence[LoggedPrediction]) -> int:
        """How many were new."""
        if self._appender is not None:
            return self._appender.append([_VALUES(row) for row in rows])
        # In one order everywhere, so that two processes that repeat each other's requests never wait in a circle.
        ordered = sorted(rows, key=lambda row: row.request_id or "")
        with storage_errors(), self._engine.begin() as connection:
            return connection.execute(
                _INSERT, [dict(zip(FIELDS, _VALUES(row), strict=True)) for row in ordered]
            ).rowcount

    def standing(self, request_ids: Sequence[str]) -> dict[str, LoggedPrediction]:
        """Return what was logged for these requests, by request_id."""
        found: dict[str, LoggedPrediction] = {}
        with storage_errors(), self._engine.connect() as connection:
            for start in range(0, len(request_ids), 500):
                some = request_ids[start : start + 500]
                query = sa.select(*_COLUMNS).where(tables.predictions.c.request_id.in_(some))
                found |= {row.request_id: LoggedPrediction(*row) for row in connection.execute(query)}
        return found

    def _standing(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        found = PredictionLog.standing(self, [row.request_id for row in rows if row.request_id is not None])
        return [row if row.request_id is None else found[row.request_id] for row in rows]

    def attach(self, labels: Sequence[Label], labelled_at: datetime) -> list[LabelStatus]:
        """Stores all labels and says of each whether its prediction is in the log already."""
        if not labels:
            return []
        with storage_errors(), self._engine.begin() as connection:
            labels = as_logged(connection, labels)
            insert_labels(connection, tables.ground_truth, labels, labelled_at)
            known = self._known(connection, labels)
        return ["attached" if {label.prediction_id, label.request_id} & known else "pending" for label in labels]

    def _known(self, connection: sa.Connection, labels: Sequence[Label]) -> set[str | None]:
        known: set[str | None] = set()
        for column, ids in (
            (tables.predictions.c.id, [label.prediction_id for label in labels]),
            (tables.predictions.c.request_id, [label.request_id for label in labels]),
        ):
            named = [i for i in ids if i is not None]
            if connection.dialect.name == "sqlite":
                # One parameter for all of them: SQLAlchemy takes longer over 500 than SQLite over 10,000.
                given = sa.func.json_each(json.dumps(named)).table_valued("value")
                known.update(connection.scalars(sa.select(column).where(column.in_(sa.select(given.c.value)))))
                continue
            for start in range(0, len(named), 500):
                known.update(connection.scalars(sa.select(column).where(column.in_(named[start : start + 500]))))
        return known

    def find(self, name: str) -> LoggedPrediction | None:
        """Return the prediction with this id, else with this request_id; `KEY/ID` is the request_id of an API key."""
        table = tables.predictions.c
        names = [name, name.replace("/", KEY_ENDS, 1)]
        query = sa.select(*_COLUMNS).where((table.id == name) | table.request_id.in_(names))
        with storage_errors(), self._engine.connect() as connection:
            row = connection.execute(
                query.order_by(sa.case((table.id == name, 0), (table.request_id == name, 1), else_=2)).limit(1)
            ).first()
        return None if row is None else LoggedPrediction(*row)

    def latest(self, scope: Scope, limit: int, after: str | None = None) -> list[LoggedPrediction]:
        """The last `limit` rows in scope with an id above `after`, oldest first."""
        query = sa.select(*_COLUMNS).where(scope.condition())
        if after is not None:
            query = query.where(tables.predictions.c.id > after)
        with storage_errors(), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(tables.predictions.c.id.desc()).limit(limit)).all()
        return [LoggedPrediction(*row) for row in reversed(rows)]

    def latest_labelled(self, scope: Scope, limit: int, after: int | None = None) -> list[LabelledPrediction]:
        """The last `limit` predictions in scope that were labelled after label `after` and not before, each once with
        its latest label, in the order in which the labels came."""
        newest: dict[str, LabelledPrediction] = {}
        before, more = None, True
        with storage_errors(), self._engine.connect() as connection:
            while more and len(newest) < limit:
                rows = 0
                for *logged, minutes, label_id in connection.execute(_labelled(scope, after, before, limit * 2)):
                    row = LabelledPrediction(LoggedPrediction(*logged), minutes, label_id)
                    newest.setdefault(row.logged.id, row)
                    before, rows = label_id, rows + 1
                more = rows == limit * 2
        return list(reversed(list(newest.values())[:limit]))

    def labelled_moments(self, scope: Scope) -> Iterator[tuple[str, int, datetime]]:
        """Prediction id, label id and event time of every label in scope, row by row: of months of traffic."""
        truth, logged = tables.ground_truth.c, tables.predictions.c
        query = sa.union_all(
            *(half.where(scope.condition()) for half in _joined(logged.id, truth.id.label("label_id"), logged.event_at))
        )
        with storage_errors(), self._engine.connect().execution_options(yield_per=10_000) as connection:
            yield from connection.execute(query)

    def labelled_at(self, rows: Sequence[LoggedPrediction]) -> dict[str, datetime]:
        """When the first label came, by prediction id, of those of the rows that have one."""
        truth = tables.ground_truth.c
        found: dict[str, datetime] = {}
        with storage_errors(), self._engine.connect() as connection:
            for start in range(0, len(rows), 500):
                for column in (truth.prediction_id, truth.request_id):
                    name_of = attrgetter(column.name.removeprefix("prediction_"))
                    ids = {name_of(row): row.id for row in rows[start : start + 500] if name_of(row) is not None}
                    query = sa.select(column, truth.labelled_at).where(column.in_(list(ids)))
                    for name, moment in connection.execute(query):
                        found[ids[name]] = min(moment, found.get(ids[name], moment))
        return found

    def count(self, scope: Scope, after: str | None = None) -> int:
        """Rows in scope with an id above `after`."""
        query = sa.select(sa.func.count()).select_from(tables.predictions).where(scope.condition())
        if after is not None:
            query = query.where(tables.predictions.c.id > after)
        with storage_errors(), self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)


def as_logged(
    connection: sa.Connection, labels: Sequence[Label], arriving: Collection[str | None] = ()
) -> Sequence[Label]:
    """Return the labels, with a request_id as its client sent it where the prediction has it so, without a key.

    That is one from before keys were configured, or from a release before revision 0008. The key's own goes first,
    also one that is `arriving` with the labels.
    """
    of_keys = {label.request_id for label in labels if label.request_id and KEY_ENDS in label.request_id}
    if not of_keys:
        return labels
    names, column = [*of_keys, *map(as_sent, of_keys)], tables.predictions.c.request_id
    found: set[str | None] = set()
    for start in range(0, len(names), 500):
        found |= set(connection.scalars(sa.select(column).where(column.in_(names[start : start + 500]))))
    sent = {name: as_sent(name) for name in of_keys - found.union(arriving) if as_sent(name) in found}
    return [replace(label, request_id=sent.get(label.request_id or "", label.request_id)) for label in labels]


def _joined(*columns: sa.ColumnElement[Any]) -> list[sa.Select[Any]]:
    """Select `columns` of labels joined to their predictions: of those that name a prediction_id, and a request_id.

    Two selects, because each has an equality that an index serves from either side; with OR or COALESCE none does.
    """
    truth, logged = tables.ground_truth.c, tables.predictions.c
    return [
        sa.select(*columns).join_from(tables.ground_truth, tables.predictions, same)
        for same in (logged.id == truth.prediction_id, logged.request_id == truth.request_id)
    ]


def insert_labels(connection: sa.Connection, table: sa.Table, labels: Sequence[Label], labelled_at: datetime) -> None:
    """Insert all labels, into this table or its like in an outbox."""
    columns = {name: [getattr(label, name) for label in labels] for name in _LABEL}
    if connection.dialect.name == "sqlite":
        values = [*columns.values(), [labelled_at] * len(labels)]
        insert_rows(connection, [*(table.c[name] for name in columns), table.c.labelled_at], values)
        return
    rows = zip(*columns.values(), strict=True)
    connection.execute(
        sa.insert(table), [dict(zip(_LABEL, row, strict=True)) | {"labelled_at": labelled_at} for row in rows]
    )


def _labelled(scope: Scope, after: int | None, before: int | None, limit: int) -> sa.CompoundSelect[Any]:
    """Select the newest `limit` labels with their predictions. A prediction with a label up to `after` has counted."""
    truth, logged, older = tables.ground_truth.c, tables.predictions.c, tables.ground_truth.alias().c
    conditions = [scope.condition()]
    if before is not None:
        conditions.append(truth.id < before)
    if after is not None:
        same = (older.prediction_id == logged.id, older.request_id == logged.request_id)
        conditions += [truth.id > after, *(~sa.exists().where(older.id <= after, one) for one in same)]
    halves = [
        half.where(*conditions).order_by(truth.id.desc()).limit(limit).subquery()
        for half in _joined(*_COLUMNS, truth.trip_duration_minutes, truth.id.label("label_id"))
    ]
    return sa.union_all(*(sa.select(half) for half in halves)).order_by(sa.desc("label_id")).limit(limit)
