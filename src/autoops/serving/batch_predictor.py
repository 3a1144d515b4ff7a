"""A batch from the first row to the last: one version, one transaction, all or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
import numpy.typing as npt
import uuid_utils

from autoops.features import feature_matrix
from autoops.predictions import LIVE, LoggedPrediction, PredictionLog
from autoops.scoring import Cores
from autoops.serving.answers import BatchAnswer
from autoops.serving.batch import Batch
from autoops.serving.batches import Batches
from autoops.serving.holder import Loaded
from autoops.serving.metrics import Metrics
from autoops.serving.moments import Moments
from autoops.serving.writer import Writer


@dataclass(frozen=True)
class _Scored:
    """Rows as they go into the log, and what is known of them as arrays."""

    rows: list[LoggedPrediction]
    minutes: npt.NDArray[np.float64]
    event_at: Moments
    known_zones: npt.NDArray[np.bool_]


class BatchPredictor:
    def __init__(self, log: PredictionLog, writer: Writer, metrics: Metrics, batches: Batches) -> None:
        self._log = log
        self._writer = writer
        self._metrics = metrics
        self._batches = batches

    async def predict(self, loaded: Loaded, batch: Batch, now: datetime) -> BatchAnswer:
        """Once all of them are committed to the log."""
        scored = await self._batches.run(_score, loaded, batch, now, self._batches.cores)
        standing = await self._writer.do(partial(self._append, scored.rows), scored.rows)
        answer = await self._batches.run(_answer, loaded, scored, standing)
        new = ~answer.repeated
        self._metrics.predicted(answer.answered_by, int(new.sum()), int((new & ~answer.known_zones).sum()))
        return answer

    def _append(self, rows: list[LoggedPrediction], _items: object) -> Sequence[LoggedPrediction]:
        return self._log.append(rows)


def _score(loaded: Loaded, batch: Batch, now: datetime, cores: Cores) -> _Scored:
    batch = batch.begun_by(now)
    minutes = cores.predict(loaded.scorer, feature_matrix(batch.columns(), loaded.scorer.manifest.features))
    return _Scored(_rows(loaded, batch, now, minutes), minutes, batch.pickup_at, _known_zones(loaded, batch))


def _rows(loaded: Loaded, batch: Batch, now: datetime, minutes: npt.NDArray[np.float64]) -> list[LoggedPrediction]:
    number = loaded.version.number
    return [
        LoggedPrediction(
            str(uuid_utils.uuid7()),
            request_id,
            at.replace(tzinfo=UTC),
            now,
            number,
            LIVE,
            miles,
            count,
            begin,
            end,
            took,
        )
        for request_id, at, miles, count, begin, end, took in zip(
            batch.request_ids or [None] * len(batch),
            batch.pickup_at.tolist(),
            batch.trip_distance.tolist(),
            batch.passenger_count.tolist(),
            batch.pickup_location_id.tolist(),
            batch.dropoff_location_id.tolist(),
            minutes.tolist(),
            strict=True,
        )
    ]


def _known_zones(loaded: Loaded, batch: Batch) -> npt.NDArray[np.bool_]:
    zones = list(loaded.scorer.zones)
    return np.isin(batch.pickup_location_id, zones) & np.isin(batch.dropoff_location_id, zones)


def _answer(loaded: Loaded, scored: _Scored, standing: Sequence[LoggedPrediction]) -> BatchAnswer:
    number = loaded.version.number
    repeated = np.array([logged.id != row.id for row, logged in zip(scored.rows, standing, strict=True)])
    if repeated.any():
        return _as_logged(loaded, standing, repeated)
    return BatchAnswer(
        number,
        [row.id for row in scored.rows],
        scored.minutes,
        np.full(len(repeated), number, dtype=np.int32),
        scored.event_at,
        scored.known_zones,
        repeated,
    )


def _as_logged(loaded: Loaded, standing: Sequence[LoggedPrediction], repeated: npt.NDArray[np.bool_]) -> BatchAnswer:
    """What was asked for before is answered as it was."""
    zones = loaded.scorer.zones
    return BatchAnswer(
        loaded.version.number,
        [row.id for row in standing],
        np.array([row.prediction for row in standing]),
        np.array([row.model_version for row in standing], dtype=np.int32),
        np.array([row.event_at.replace(tzinfo=None) for row in standing], dtype="datetime64[us]"),
        np.array([row.pickup_location_id in zones and row.dropoff_location_id in zones for row in standing]),
        repeated,
    )
