"""Forgetting: old predictions and their ground truth go, in small batches; checks, incidents and the ledger stay."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from autoops import tables
from autoops.database import storage_errors
from autoops.loop.pipeline import Pipeline
from autoops.loop.windows import ends_of, promoted_at
from autoops.predictions import LIVE, Scope
from autoops.registry import CHAMPION

BATCH = 2_000
"""Rows of one transaction: what it locks it locks for moments."""

_predictions, _truth = tables.predictions.c, tables.ground_truth.c


_NAMED = (_truth.prediction_id == _predictions.id, _truth.request_id == _predictions.request_id)
"""How a label names its prediction. Apart, because an index serves each and none serves both."""


@dataclass(frozen=True)
class Pruned:
    """Rows that were deleted."""

    predictions: int
    labels: int


def prune(pipeline: Pipeline, before: datetime) -> Pruned:
    """Deletes what was predicted before, but nothing that a window of the champion still needs: its live predictions
    and labels that have counted in none. Ground truth goes with its prediction, or when it has waited for one since
    before. May be interrupted at any moment and run again."""
    engine = pipeline.log.engine
    labels = predictions = 0
    for ids, request_ids in _old(engine, before, _needed(pipeline)):
        with storage_errors(), engine.begin() as connection:
            of_them = _truth.prediction_id.in_(ids) | _truth.request_id.in_(request_ids)
            labels += connection.execute(sa.delete(tables.ground_truth).where(of_them)).rowcount
            predictions += connection.execute(sa.delete(tables.predictions).where(_predictions.id.in_(ids))).rowcount
    return Pruned(predictions, labels + _prune_labels_of_nothing(engine, before))


def _needed(pipeline: Pipeline) -> sa.ColumnElement[bool]:
    """Live predictions of the champion that no check has used, and those with ground truth that none has."""
    champion = pipeline.registry.by_alias(CHAMPION)
    if champion is None or pipeline.settings.drift.source != "log":
        return sa.false()
    ends = ends_of(pipeline, champion)
    new_labels = [sa.exists().where(named, _truth.id > (ends.label_id or 0)) for named in _NAMED]
    unused = _predictions.id > (ends.prediction_id or "")
    return Scope(champion.number, LIVE, promoted_at(champion)).condition() & sa.or_(unused, *new_labels)


def _old(
    engine: sa.Engine, before: datetime, needed: sa.ColumnElement[bool]
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Ids and request ids, oldest first. Ids are time-ordered, so this is a walk along the primary key."""
    last, end = "", first_id_of(before)
    while True:
        query = (
            sa.select(_predictions.id, _predictions.request_id)
            .where(_predictions.id > last, _predictions.id < end, ~needed)
            .order_by(_predictions.id)
            .limit(BATCH)
        )
        with storage_errors(), engine.connect() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        yield [row.id for row in rows], [row.request_id for row in rows if row.request_id is not None]
        last = rows[-1].id


def first_id_of(moment: datetime) -> str:
    """Not above any UUID of version 7 that was made at this moment or later: their first 48 bits are milliseconds."""
    stamp = f"{int(moment.timestamp() * 1000):012x}"
    return f"{stamp[:8]}-{stamp[8:]}-0000-0000-000000000000"


def _prune_labels_of_nothing(engine: sa.Engine, before: datetime) -> int:
    deleted = last = 0
    while True:
        nothing = [~sa.exists().where(named).correlate(tables.ground_truth) for named in _NAMED]
        query = sa.select(_truth.id).where(_truth.id > last, _truth.labelled_at < before, *nothing)
        with storage_errors(), engine.begin() as connection:
            ids = connection.scalars(query.order_by(_truth.id).limit(BATCH)).all()
            if not ids:
                return deleted
            deleted += connection.execute(sa.delete(tables.ground_truth).where(_truth.id.in_(ids))).rowcount
            last = ids[-1]
