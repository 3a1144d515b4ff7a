"""The prediction log: every prediction of every version, and its ground truth.

Ground truth is append-only and joined when it is read. A label for an id that is not logged yet is pending, not lost.
Of two labels for one prediction the later counts, and both are kept.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from autoops.storage import tables
from autoops.storage.appender import SqliteAppender, insert_rows
from autoops.storage.database import storage_errors
from autoops.storage.logged import FIELDS, KEY_ENDS, LIVE, LoggedColumns, LoggedPrediction, as_sent


@dataclass(frozen=True, slots=True)
class Label:
    """Ground truth for one prediction; either id may identify it."""

    target: float
    prediction_id: str | None = None
    request_id: str | None = None


LabelStatus = Literal["attached", "pending"]


@dataclass(frozen=True)
class LogSelection:
    """The rows that a window may hold: those of one version, of live traffic or of one scored month.

    With `since`, such as the version's last promotion, only rows predicted since then.
    """

    model_version: int
    source: str = LIVE
    since: datetime | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        """Return the condition in SQL on the table of predictions."""
        table = tables.predictions.c
        condition = (table.model_version == self.model_version) & (table.source == self.source)
        return condition if self.since is None else condition & (table.predicted_at >= self.since)

    def contains(self, row: LoggedPrediction) -> bool:
        """Return whether the row is in the selection."""
        return (row.model_version, row.source) == (self.model_version, self.source) and self.is_in_time(row)

    def is_in_time(self, row: LoggedPrediction) -> bool:
        """Return whether the row was predicted at `since` or later; True if `since` is None."""
        return self.since is None or row.predicted_at >= self.since


@dataclass(frozen=True, slots=True)
class LabelledPrediction:
    """A logged prediction with its ground truth; `label_id` orders labels by their storage."""

    logged: LoggedPrediction
    target: float
    label_id: int


__all__ = [
    "LIVE",
    "Label",
    "LabelStatus",
    "LabelledPrediction",
    "LogSelection",
    "LoggedColumns",
    "LoggedPrediction",
    "PredictionLog",
]

_COLUMNS = [tables.predictions.c[name] for name in FIELDS]
_VALUES = attrgetter(*FIELDS)
_LABEL = ("prediction_id", "request_id", "target")
# SQLAlchemy keeps the row count of an INSERT only on request.
_INSERT = (
    postgresql.insert(tables.predictions)
    .on_conflict_do_nothing(index_elements=["request_id"])
    .execution_options(preserve_rowcount=True)
)
"""PostgreSQL's. If two processes log the same requests, one waits for the other at each common request_id."""


_STREAMED = 2_000
"""Rows per page of a query without a limit."""

_NAMES_PER_QUERY = 500

_ABOVE_ALL_IDS = "g"
"""Ids are hexadecimal."""


class PredictionLog:
    """Appends and queries. Every method is one transaction and raises StorageUnavailable if the database is away."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        sqlite = engine.dialect.name == "sqlite"
        self._appender = SqliteAppender(engine, _COLUMNS, unique="request_id") if sqlite else None

    @property
    def engine(self) -> sa.Engine:
        """Return the engine of the log's database."""
        return self._engine

    def append(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        """Commit `rows` and return the logged rows in the same order.

        For a `request_id` that was logged before, that is the earlier row.
        """
        if not rows:
            return []
        return list(rows) if self._append(rows) == len(rows) else self._standing(rows)

    def append_columns(self, columns: LoggedColumns) -> dict[int, LoggedPrediction]:
        """Commit rows given as columns; return, by position, the earlier rows that replace these."""
        if self._appender is None:
            return columns.others(self.append(columns.rows()))
        if self._appender.append_columns(columns.in_order()) == len(columns):
            return {}
        return columns.others(self._standing(columns.rows()))

    def _append(self, rows: Sequence[LoggedPrediction]) -> int:
        """Return how many rows were new."""
        if self._appender is not None:
            return self._appender.append([_VALUES(row) for row in rows])
        # In one order in every process, so that two processes that repeat each other's requests cannot deadlock.
        ordered = sorted(rows, key=lambda row: row.request_id or "")
        with storage_errors(), self._engine.begin() as connection:
            return connection.execute(
                _INSERT, [dict(zip(FIELDS, _VALUES(row), strict=True)) for row in ordered]
            ).rowcount

    def standing(self, request_ids: Sequence[str]) -> dict[str, LoggedPrediction]:
        """Return the logged rows of these requests, by request_id."""
        found: dict[str, LoggedPrediction] = {}
        with storage_errors(), self._engine.connect() as connection:
            for start in range(0, len(request_ids), 500):
                some = request_ids[start : start + 500]
                query = sa.select(*_COLUMNS).where(tables.predictions.c.request_id.in_(some))
                found |= {row.request_id: LoggedPrediction(*row) for row in connection.execute(query)}
        return found

    def _standing(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        # Not `self.standing`, which a subclass answers from its outbox too.
        found = PredictionLog.standing(self, [row.request_id for row in rows if row.request_id is not None])
        return [row if row.request_id is None else found[row.request_id] for row in rows]

    def attach(self, labels: Sequence[Label], labelled_at: datetime) -> list[LabelStatus]:
        """Store all labels and return for each whether its prediction is logged already."""
        if not labels:
            return []
        with storage_errors(), self._engine.begin() as connection:
            labels = as_logged(connection, labels)
            insert_labels(connection, tables.ground_truth, labels, labelled_at)
            known = _known(
                connection, [label.prediction_id for label in labels], [label.request_id for label in labels]
            )
        return ["attached" if {label.prediction_id, label.request_id} & known else "pending" for label in labels]

    def known(self, prediction_ids: Sequence[str | None], request_ids: Sequence[str | None]) -> set[str | None]:
        """Return the ids among these that a logged prediction has."""
        with storage_errors(), self._engine.connect() as connection:
            return _known(connection, prediction_ids, request_ids)

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

    def latest(self, scope: LogSelection, limit: int, after: str | None = None) -> list[LoggedPrediction]:
        """Return the last `limit` rows in scope with an id above `after`, oldest first."""
        key = sa.tuple_(*(tables.predictions.c[name] for name in ("model_version", "source", "id")))
        first, last = ((scope.model_version, scope.source, id) for id in (after or "", _ABOVE_ALL_IDS))
        # Compared as a whole, the key makes PostgreSQL scan the key's own index. With two equalities it may scan the
        # primary key instead, through all rows that other versions have logged since.
        query = sa.select(*_COLUMNS).where(key > first, key < last)
        query = query.order_by(*(column.desc() for column in key.clauses)).limit(limit)
        with storage_errors(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        # Ids are ordered by time. With a condition on predicted_at, the query for a version that serves again would
        # scan all its older rows, in search of rows that do not exist.
        return [row for row in (LoggedPrediction(*row) for row in reversed(rows)) if scope.is_in_time(row)]

    def oldest(self, after: str, before: str, limit: int) -> list[LoggedPrediction]:
        """Return the first `limit` rows with an id above `after` and below `before`, oldest first."""
        id = tables.predictions.c.id
        query = sa.select(*_COLUMNS).where(id > after, id < before).order_by(id).limit(limit)
        with storage_errors(), self._engine.connect() as connection:
            return [LoggedPrediction(*row) for row in connection.execute(query)]

    def labelled_after(self, rows: Sequence[LoggedPrediction], label_id: int) -> set[str]:
        """Return the ids of the rows that have a label with an id above `label_id`."""
        with storage_errors(), self._engine.connect() as connection:
            return {id for id, label in _labels_of(connection, rows) if label.id > label_id}

    def latest_labelled(self, scope: LogSelection, limit: int, after: int | None = None) -> list[LabelledPrediction]:
        """Return the last `limit` predictions in scope whose labels all have ids above `after`.

        Each prediction stands once, with its latest label, in the order of label ids.
        """
        newest: dict[str, LabelledPrediction] = {}
        with storage_errors(), self._engine.connect() as connection:
            # Pages above the limit: corrections and labels of other versions are passed over.
            for labels in _label_pages(connection, after, max(2 * limit, _STREAMED)):
                found = [row for row in _with_predictions(connection, labels) if scope.contains(row.logged)]
                counted = _labelled_until(connection, [row.logged for row in found], after)
                for row in found:
                    if row.logged.id not in counted:
                        # The first one is the latest label, because pages come newest first.
                        newest.setdefault(row.logged.id, row)
                if len(newest) >= limit:
                    break
        return list(reversed(list(newest.values())[:limit]))

    def matured(
        self, scope: LogSelection, limit: int, after: datetime | None, until: datetime
    ) -> list[LabelledPrediction]:
        """Return the last `limit` labelled predictions in scope with event times above `after` and up to `until`.

        They are in the order in which they were predicted, whenever their labels came, each with its latest label.
        """
        event_at, found = tables.predictions.c.event_at, list[LabelledPrediction]()
        key = sa.tuple_(*(tables.predictions.c[name] for name in ("model_version", "source", "id")))
        query = sa.select(*_COLUMNS).order_by(*(column.desc() for column in key.clauses)).limit(_STREAMED)
        query = query.where(key > (scope.model_version, scope.source, ""), event_at <= until)
        query = query if after is None else query.where(event_at > after)
        last = _ABOVE_ALL_IDS
        with storage_errors(), self._engine.connect() as connection:
            while len(found) < limit:
                page = connection.execute(query.where(key < (scope.model_version, scope.source, last))).all()
                rows = [LoggedPrediction(*row) for row in page]
                found += _labelled(connection, [row for row in rows if scope.is_in_time(row)])
                # Ids are ordered by time: before an earlier tenure there is nothing to look for.
                if len(rows) < _STREAMED or not scope.is_in_time(rows[-1]):
                    break
                last = rows[-1].id
        return found[:limit][::-1]

    def labelled(self, source: str) -> Iterator[LabelledPrediction]:
        """Yield every label of this source's predictions, of all versions, the newest label first."""
        with storage_errors(), self._engine.connect() as connection:
            for labels in _label_pages(connection, None, _STREAMED):
                yield from (row for row in _with_predictions(connection, labels) if row.logged.source == source)

    def labelled_moments(self, source: str) -> Iterator[tuple[int, str, int, datetime]]:
        """Yield model version, prediction id, label id and event time of every label of this source's predictions.

        They are those of all versions, deleted ones too, and may span months of traffic.
        """
        truth, logged = tables.ground_truth.c, tables.predictions.c
        columns = (logged.model_version, logged.id, truth.id.label("label_id"), logged.event_at)
        # A label has one of the two ids, so that no row is in both halves.
        query = sa.union_all(*(half.where(logged.source == source) for half in _joined(*columns)))
        with storage_errors(), self._engine.connect().execution_options(yield_per=10_000) as connection:
            yield from connection.execute(query)

    def labelled_by_request(self, request_ids: Sequence[str]) -> dict[str | None, LabelledPrediction]:
        """Return the logged and labelled predictions of these requests by request id, each with its latest label."""
        with storage_errors(), self._engine.connect() as connection:
            rows = _predictions(connection, tables.predictions.c.request_id, request_ids)
            return {row.logged.request_id: row for row in _labelled(connection, list(rows))}

    def label_before(self, moment: datetime) -> int:
        """Return a label id below the ids of all labels with `labelled_at` at or after `moment`.

        Labels above it may be older too: ids follow the order of storage, and some labels wait in an outbox first.
        """
        truth = tables.ground_truth.c
        # Without `+ 0` PostgreSQL scans the primary key for the least id, from the oldest label on.
        since = sa.select(sa.func.min(truth.id + 0)).where(truth.labelled_at >= moment)
        with storage_errors(), self._engine.connect() as connection:
            first = connection.scalar(since)
            if first is not None:
                return int(first) - 1
            return int(connection.scalar(sa.select(sa.func.max(truth.id))) or 0)

    def labelled_at(self, rows: Sequence[LoggedPrediction]) -> dict[str, datetime]:
        """Return the earliest `labelled_at` by prediction id, for the rows that have a label."""
        found: dict[str, datetime] = {}
        with storage_errors(), self._engine.connect() as connection:
            for id, label in _labels_of(connection, rows):
                found[id] = min(label.labelled_at, found.get(id, label.labelled_at))
        return found

    def count(self, scope: LogSelection) -> int:
        """Return the number of rows in scope."""
        query = sa.select(sa.func.count()).select_from(tables.predictions).where(scope.condition())
        with storage_errors(), self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)


def as_logged(
    connection: sa.Connection, labels: Sequence[Label], arriving: Collection[str | None] = ()
) -> Sequence[Label]:
    """Return the labels, with a request_id without its API key where the prediction was logged without one.

    Such predictions are from before keys were configured, or from a release before revision 0008. A prediction with the
    key takes precedence. Predictions of either kind may be in the log, or `arriving` with the labels (by request_id).
    """
    of_keys = {label.request_id for label in labels if label.request_id and KEY_ENDS in label.request_id}
    if not of_keys:
        return labels
    names, column = [*of_keys, *map(as_sent, of_keys)], tables.predictions.c.request_id
    found: set[str | None] = set(arriving)
    for start in range(0, len(names), 500):
        found |= set(connection.scalars(sa.select(column).where(column.in_(names[start : start + 500]))))
    sent = {name: as_sent(name) for name in of_keys - found if as_sent(name) in found}
    return [replace(label, request_id=sent.get(label.request_id or "", label.request_id)) for label in labels]


def _joined(*columns: sa.ColumnElement[Any]) -> list[sa.Select[Any]]:
    """Return two selects of `columns` of labels joined to their predictions: by prediction_id, and by request_id.

    Each has an equality that an index serves from either side. One select with OR or COALESCE would use no index.
    """
    truth, logged = tables.ground_truth.c, tables.predictions.c
    return [
        sa.select(*columns).join_from(tables.ground_truth, tables.predictions, same)
        for same in (logged.id == truth.prediction_id, logged.request_id == truth.request_id)
    ]


# Labels and predictions are matched here and not in a join. The cost of pages along one index and look-ups in another
# grows with what they return, on every database; a join scans the whole log where the planner guesses wrong.


def insert_labels(connection: sa.Connection, table: sa.Table, labels: Sequence[Label], labelled_at: datetime) -> None:
    """Insert all labels into `table`, ground truth or its counterpart in an outbox."""
    columns = {name: [getattr(label, name) for label in labels] for name in _LABEL}
    if connection.dialect.name == "sqlite":
        values = [*columns.values(), [labelled_at] * len(labels)]
        insert_rows(connection, [*(table.c[name] for name in columns), table.c.labelled_at], values)
        return
    rows = zip(*columns.values(), strict=True)
    connection.execute(
        sa.insert(table), [dict(zip(_LABEL, row, strict=True)) | {"labelled_at": labelled_at} for row in rows]
    )


def _label_pages(connection: sa.Connection, after: int | None, rows: int) -> Iterator[Sequence[Any]]:
    """Yield the labels with ids above `after` in pages of up to `rows`, the newest first."""
    truth = tables.ground_truth.c
    query = sa.select(truth.id, truth.prediction_id, truth.request_id, truth.target)
    query = query.where(truth.id > (after or 0)).order_by(truth.id.desc()).limit(rows)
    page = connection.execute(query).all()
    while page:
        yield page
        page = connection.execute(query.where(truth.id < page[-1].id)).all() if len(page) == rows else []


def _with_predictions(connection: sa.Connection, labels: Sequence[Any]) -> Iterator[LabelledPrediction]:
    """Yield the labels with their predictions in the order of the labels, without labels of no logged prediction."""
    logged = tables.predictions.c
    by_id = {row.id: row for row in _predictions(connection, logged.id, [label.prediction_id for label in labels])}
    named = _predictions(connection, logged.request_id, [label.request_id for label in labels])
    by_request = {row.request_id: row for row in named}
    for label in labels:
        row = by_request.get(label.request_id) or by_id.get(label.prediction_id)
        if row is not None:
            yield LabelledPrediction(row, label.target, label.id)


def _known(
    connection: sa.Connection, prediction_ids: Sequence[str | None], request_ids: Sequence[str | None]
) -> set[str | None]:
    known: set[str | None] = set()
    for column, ids in ((tables.predictions.c.id, prediction_ids), (tables.predictions.c.request_id, request_ids)):
        if connection.dialect.name == "sqlite":
            # One parameter for all ids: SQLAlchemy takes longer to bind 500 than SQLite to look up 10,000.
            given = sa.func.json_each(json.dumps([name for name in ids if name is not None])).table_valued("value")
            known.update(connection.scalars(sa.select(column).where(column.in_(sa.select(given.c.value)))))
            continue
        for some in _slices(ids):
            known.update(connection.scalars(sa.select(column).where(column.in_(some))))
    return known


def _predictions(
    connection: sa.Connection, column: sa.Column[str], names: Sequence[str | None]
) -> Iterator[LoggedPrediction]:
    query = sa.select(*_COLUMNS)
    for some in _slices(names):
        yield from (LoggedPrediction(*row) for row in connection.execute(query.where(column.in_(some))))


def _labelled(connection: sa.Connection, rows: Sequence[LoggedPrediction]) -> Iterator[LabelledPrediction]:
    """Yield the rows that have a label, each with its latest label."""
    found: dict[str, tuple[int, float]] = {}
    for id, label in _labels_of(connection, rows):
        found[id] = max(found.get(id, (0, 0.0)), (label.id, label.target))
    for row in rows:
        if row.id in found:
            label_id, target = found[row.id]
            yield LabelledPrediction(row, target, label_id)


def _labelled_until(connection: sa.Connection, rows: Sequence[LoggedPrediction], label_id: int | None) -> set[str]:
    """Return the ids of the rows that have a label with an id of at most `label_id`."""
    if not label_id:
        return set()
    return {id for id, label in _labels_of(connection, rows) if label.id <= label_id}


def _labels_of(connection: sa.Connection, rows: Sequence[LoggedPrediction]) -> Iterator[tuple[str, Any]]:
    """Yield all labels of the rows, each with the id of its prediction."""
    truth = tables.ground_truth.c
    by_request = {row.request_id: row.id for row in rows}
    for column, ids in ((truth.prediction_id, {row.id: row.id for row in rows}), (truth.request_id, by_request)):
        query = sa.select(column.label("name"), truth.id, truth.target, truth.labelled_at)
        for some in _slices(list(ids)):
            for label in connection.execute(query.where(column.in_(some))):
                yield ids[label.name], label


def _slices(names: Sequence[str | None]) -> Iterator[Sequence[str]]:
    known = [name for name in names if name is not None]
    return (known[start : start + _NAMES_PER_QUERY] for start in range(0, len(known), _NAMES_PER_QUERY))
