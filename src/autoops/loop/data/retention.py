"""Retention of the prediction log: old predictions and ground truth are deleted; checks, incidents and the ledger stay.

Rows are deleted in short transactions with pauses of the same length between them, so that writers wait only briefly.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.data.cursor import cursor_of, promoted_at
from autoops.models.registry import CHAMPION
from autoops.storage import database, tables
from autoops.storage.database import storage_errors
from autoops.storage.predictions import LIVE, LoggedPrediction, LogSelection

logger = logging.getLogger(__name__)

BATCH = 500
"""Rows per transaction."""

LEAST_PAUSE_S = 0.01
TOLD_EVERY = 100_000
"""Deleted predictions between two lines of the log about progress."""

Step = TypeVar("Step")
Pause = Callable[[float], None]
Needed = Callable[[list[LoggedPrediction]], set[str]]
"""Returns the ids of the rows that must stay."""

_predictions, _truth = tables.predictions.c, tables.ground_truth.c


@dataclass(frozen=True)
class Pruned:
    """Numbers of deleted rows."""

    predictions: int
    labels: int


def prune(context: Context, before: datetime, pause: Pause = time.sleep) -> Pruned:
    """Delete predictions made before `before` with their ground truth, and give SQLite's free space back to the disk.

    Live predictions and labels of the champion that no window has consumed stay. A label without a prediction is
    deleted if it was stored before `before`. The newest label of all stays. The function may be interrupted at any
    moment and run again.
    """
    engine = context.log.engine
    labels = predictions = told = 0
    # SQLite numbers a new row with the greatest id in the table plus one. Without the newest label, ids would start
    # again below the cursors of checks, and no window would see the labels that come next. One lookup is enough: while
    # this row stays, no new id is below it.
    with storage_errors(), engine.connect() as connection:
        newest = connection.scalar(sa.select(sa.func.max(_truth.id))) or 0
    for rows in _paced(_old(context, before), pause):
        ids, request_ids = [row.id for row in rows], [row.request_id for row in rows if row.request_id is not None]
        with storage_errors(), engine.begin() as connection:
            of_them = _truth.prediction_id.in_(ids) | _truth.request_id.in_(request_ids)
            labels += connection.execute(sa.delete(tables.ground_truth).where(of_them, _truth.id != newest)).rowcount
            predictions += connection.execute(sa.delete(tables.predictions).where(_predictions.id.in_(ids))).rowcount
        if predictions - told >= TOLD_EVERY:
            told = predictions
            logger.info("deleted %d predictions up to %s so far", predictions, rows[-1].predicted_at)
    for label_ids in _paced(_labels_of_nothing(context, before), pause):
        with storage_errors(), engine.begin() as connection:
            gone = sa.delete(tables.ground_truth).where(_truth.id.in_(label_ids), _truth.id != newest)
            labels += connection.execute(gone).rowcount
    for _ in _paced(database.give_back(engine), pause):
        pass
    return Pruned(predictions, labels)


def _paced(steps: Iterator[Step], pause: Pause) -> Iterator[Step]:
    """Yield the steps, and pause after each for as long as it took: other processes get half of the time."""
    began = time.monotonic()
    for step in steps:
        yield step
        pause(max(LEAST_PAUSE_S, time.monotonic() - began))
        began = time.monotonic()


def _old(context: Context, before: datetime) -> Iterator[list[LoggedPrediction]]:
    """Yield batches of predictions to delete, oldest first; ids are time-ordered, so this scans the primary key."""
    needed = _needed(context)
    last, end = "", first_id_of(before)
    while rows := context.log.oldest(last, end, BATCH):
        kept = needed(rows)
        if gone := [row for row in rows if row.id not in kept]:
            yield gone
        last = rows[-1].id


def _needed(context: Context) -> Needed:
    """Return a function that finds the rows to keep.

    These are live predictions of the champion that no check has consumed, and those with a label that none has
    consumed.
    """
    champion = context.registry.by_alias(CHAMPION)
    # Only checks of live traffic consume rows: without them nothing would ever be deleted.
    if champion is None or context.settings.drift.source != "log":
        return lambda rows: set()
    cursor, scope = cursor_of(context, champion), LogSelection(champion.number, LIVE, promoted_at(champion))

    def needed(rows: list[LoggedPrediction]) -> set[str]:
        own = [row for row in rows if scope.contains(row)]
        unused = {row.id for row in own if row.id > (cursor.prediction_id or "")}
        # Where labels mature, windows consume rows by event time, and there is no `label_id`.
        done = {row.id for row in own if cursor.matured_until and row.event_at <= cursor.matured_until}
        asked = [row for row in own if row.id not in unused | done]
        return unused | context.log.labelled_after(asked, cursor.label_id or 0)

    return needed


def first_id_of(moment: datetime) -> str:
    """Return an id not above any version 7 UUID made at `moment` or later: their first 48 bits are milliseconds."""
    stamp = f"{int(moment.timestamp() * 1000):012x}"
    return f"{stamp[:8]}-{stamp[8:]}-0000-0000-000000000000"


def _labels_of_nothing(context: Context, before: datetime) -> Iterator[list[int]]:
    """Yield batches of ids of labels stored before `before` whose prediction is not in the log, in order of storage."""
    columns = (_truth.id, _truth.labelled_at, _truth.prediction_id, _truth.request_id)
    query = sa.select(*columns).where(_truth.labelled_at < before)
    query = query.order_by(_truth.labelled_at, _truth.id).limit(BATCH)
    page = query
    while True:
        with storage_errors(), context.log.engine.connect() as connection:
            rows = connection.execute(page).all()
        if not rows:
            return
        known = context.log.known([row.prediction_id for row in rows], [row.request_id for row in rows])
        if gone := [row.id for row in rows if not {row.prediction_id, row.request_id} & known]:
            yield gone
        at, last = rows[-1].labelled_at, rows[-1].id
        # The first condition follows from the second, but is the one that an index can serve.
        page = query.where(_truth.labelled_at >= at, (_truth.labelled_at > at) | (_truth.id > last))
