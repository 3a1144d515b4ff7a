"""What was acknowledged against what stands in the database, row by row."""

import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from autoops.storage.predictions import LIVE, PredictionLog
from benchmarks.soaking import mix
from benchmarks.soaking.ledger import ACKNOWLEDGED, SENT, Arrays

_AT_ONCE = 20_000
_PREDICTIONS = (
    "SELECT extract(epoch FROM event_at)::bigint, id, model_version, request_id FROM predictions"
    f" WHERE event_at >= '{mix.BEGAN_AT:%Y-%m-%d}'"
)
_LABELS = "SELECT id, target, prediction_id, request_id FROM ground_truth"

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Kept:
    """What the database has of the acknowledged. `wrong`: under another id, version, name or trip than it should."""

    acknowledged: int
    lost: int
    doubled: int
    wrong: int

    @property
    def perfect(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


@dataclass(frozen=True)
class Found:
    """`miscounted`: trips for which the log counts another label than the last that was acknowledged. `by_version`:
    acknowledged predictions."""

    predictions: Kept
    labels: Kept
    miscounted: int
    by_version: dict[int, int]

    @property
    def perfect(self) -> bool:
        return self.predictions.perfect and self.labels.perfect and not self.miscounted


def audit(engine: sa.Engine, asked: Arrays) -> Found:
    answered = asked.acknowledged
    versions, counts = np.unique(asked.versions[answered], return_counts=True)
    labels, label_of_row = _labels(engine, asked)
    return Found(
        _predictions(engine, asked, answered),
        labels,
        _miscounted(engine, asked, answered, label_of_row, versions.tolist()),
        dict(zip(versions.tolist(), counts.tolist(), strict=True)),
    )


def _parts(engine: sa.Engine, query: str) -> Iterator[list[tuple[Any, ...]]]:
    """Rows as columns."""
    with engine.connect().execution_options(yield_per=_AT_ONCE) as connection:
        for part in connection.execute(sa.text(query)).partitions():
            yield list(zip(*part, strict=True))


def _predictions(engine: sa.Engine, asked: Arrays, answered: npt.NDArray[np.bool_]) -> Kept:
    rows, wrong = np.zeros(len(answered), np.int64), 0
    for moments, ids, versions, names in _parts(engine, _PREDICTIONS):
        trips = mix.trip_numbers(np.array(moments))
        np.add.at(rows, trips, 1)
        same = (asked.ids[trips] == _as_bytes(ids)) & (asked.versions[trips] == np.array(versions))
        same &= np.array([mix.request_id(trip) == name for trip, name in zip(trips.tolist(), names, strict=True)])
        wrong += int((answered[trips] & ~same).sum())
    return _kept(rows, answered, wrong)


def _labels(engine: sa.Engine, asked: Arrays) -> tuple[Kept, Counts]:
    """And the label of each row of the table."""
    rows, wrong = np.zeros(len(asked.labels), np.int64), 0
    with engine.connect() as connection:
        last = connection.scalar(sa.text("SELECT max(id) FROM ground_truth")) or 0
    label_of_row = np.full(last + 1, -1)
    for numbers, minutes, ids, names in _parts(engine, _LABELS):
        labels = mix.label_numbers(np.array(minutes))
        label_of_row[list(numbers)] = labels
        np.add.at(rows, labels, 1)
        trips = mix.trips_of(labels)
        own = asked.ids[trips] == _as_bytes([prediction_id or str(uuid.UUID(int=0)) for prediction_id in ids])
        named = [name is not None and mix.request_id(t) == name for t, name in zip(trips.tolist(), names, strict=True)]
        wrong += int((~(own | np.array(named))).sum())
    return _kept(rows, asked.labels == ACKNOWLEDGED, wrong), label_of_row


def _kept(rows: Counts, acknowledged: npt.NDArray[np.bool_], wrong: int) -> Kept:
    lost = int((acknowledged & (rows == 0)).sum())
    return Kept(int(acknowledged.sum()), lost, int(np.maximum(rows - 1, 0).sum()), wrong)


def _miscounted(
    engine: sa.Engine,
    asked: Arrays,
    answered: npt.NDArray[np.bool_],
    label_of_row: Counts,
    versions: Sequence[int],
) -> int:
    """Of two labels for a trip the later has the higher number, as it was sent once the first was acknowledged."""
    counted = np.full(len(answered), -1)
    moments = (found for found in PredictionLog(engine).labelled_moments(LIVE) if found[0] in versions)
    while part := list(itertools.islice(moments, _AT_ONCE)):
        trips = mix.trip_numbers(np.array([int(moment.timestamp()) for *_, moment in part]))
        np.maximum.at(counted, trips, [row for _, _, row, _ in part])
    stands = np.where(counted >= 0, label_of_row[counted], -1)
    granted = np.flatnonzero(asked.labels == ACKNOWLEDGED)
    expected = np.full(len(answered), -1)
    expected[mix.trips_of(granted)] = granted
    unknown = (stands >= 0) & (asked.labels[stands] == SENT)
    return int((answered & (stands != expected) & ~unknown).sum())


def _as_bytes(ids: Sequence[str]) -> npt.NDArray[Any]:
    return np.frombuffer(bytes.fromhex("".join(ids).replace("-", "")), "V16")
