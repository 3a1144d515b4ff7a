"""A batch from the first row to the last: one version, one transaction, all or none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
import numpy.typing as npt
import uuid_utils

from autoops.event_times import plausible
from autoops.features import feature_matrix
from autoops.predictions import LIVE, LoggedColumns, LoggedPrediction, PredictionLog
from autoops.serving.answers import BatchAnswer
from autoops.serving.batch import Batch
from autoops.serving.batches import Batches
from autoops.serving.holder import Loaded
from autoops.serving.metrics import Metrics
from autoops.serving.writer import Writer


@dataclass(frozen=True)
class _Asked:
    """A batch that is not scored yet."""

    inputs: npt.NDArray[np.float32]
    rows: Callable[[npt.NDArray[np.float64]], LoggedColumns]
    """As they go into the log, with their minutes."""
    known_zones: npt.NDArray[np.bool_]


class BatchPredictor:
    def __init__(self, log: PredictionLog, writer: Writer, metrics: Metrics, batches: Batches) -> None:
        self._log = log
        self._writer = writer
        self._metrics = metrics
        self._batches = batches

    async def predict(self, loaded: Loaded, batch: Batch, now: datetime) -> BatchAnswer:
        """Once all of them are committed to the log."""
        asked = await self._batches.run(_asked, loaded, batch, now)
        rows = asked.rows(await self._batches.score(loaded.scorer, asked.inputs))
        others = await self._writer.do_alone(partial(self._log.append_columns, rows), len(batch))
        answer = await self._batches.run(_answer, loaded, rows, asked.known_zones, others)
        new = ~answer.repeated
        unknown, strange = new & ~answer.known_zones, new & ~plausible(rows.event_at, now)
        self._metrics.predicted(answer.answered_by, int(new.sum()), int(unknown.sum()), int(strange.sum()))
        return answer


def _asked(loaded: Loaded, batch: Batch, now: datetime) -> _Asked:
    batch, count = batch.begun_by(now), len(batch)
    rows = partial(
        LoggedColumns,
        [str(uuid_utils.uuid7()) for _ in range(count)],
        batch.request_ids or [None] * count,
        batch.pickup_at,
        [now] * count,
        [loaded.version.number] * count,
        [LIVE] * count,
        batch.trip_distance,
        batch.passenger_count,
        batch.pickup_location_id,
        batch.dropoff_location_id,
    )
    return _Asked(feature_matrix(batch.columns(), loaded.scorer.manifest.features), rows, _known_zones(loaded, batch))


def _known_zones(loaded: Loaded, batch: Batch) -> npt.NDArray[np.bool_]:
    zones = list(loaded.scorer.zones)
    return np.isin(batch.pickup_location_id, zones) & np.isin(batch.dropoff_location_id, zones)


def _answer(
    loaded: Loaded, rows: LoggedColumns, known_zones: npt.NDArray[np.bool_], others: Mapping[int, LoggedPrediction]
) -> BatchAnswer:
    """What was asked for before is answered as it was."""
    number = loaded.version.number
    answer = BatchAnswer(
        number,
        list(rows.id),
        rows.prediction.copy(),
        np.full(len(rows), number, dtype=np.int32),
        rows.event_at.copy(),
        known_zones,
        np.zeros(len(rows), dtype=bool),
    )
    for position, row in others.items():
        answer.prediction_id[position] = row.id
        answer.trip_duration_minutes[position] = row.prediction
        answer.model_version[position] = row.model_version
        answer.event_at[position] = np.datetime64(row.event_at.astimezone(UTC).replace(tzinfo=None), "us")
        answer.known_zones[position] = {row.pickup_location_id, row.dropoff_location_id} <= loaded.scorer.zones
        answer.repeated[position] = True
    return answer
