"""The prediction of a batch: one version, one transaction, all rows or none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
import numpy.typing as npt
import uuid_utils

from autoops.event_times import plausible
from autoops.features import feature_matrix
from autoops.serving.log.writer import Writer
from autoops.serving.metrics import Metrics
from autoops.serving.model.holder import Loaded
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.responses import BatchAnswer
from autoops.serving.payloads.validation_errors import TAKEN, ValidationErrors
from autoops.serving.predict.batches import Batches
from autoops.storage.predictions import LIVE, LoggedColumns, LoggedPrediction, PredictionLog


@dataclass(frozen=True)
class _Asked:
    """A batch before scoring: `inputs` of shape `(rows, features)`, `known_zones` of shape `(rows,)`."""

    inputs: npt.NDArray[np.float32]
    rows: Callable[[npt.NDArray[np.float64]], LoggedColumns]
    """Makes the rows of the log from the predictions in minutes, of shape `(rows,)`."""
    known_zones: npt.NDArray[np.bool_]
    id_field: str


class BatchPredictor:
    """Prediction of batches: scored in worker threads, logged in the thread of `writer`."""

    def __init__(self, log: PredictionLog, writer: Writer, metrics: Metrics, batches: Batches) -> None:
        self._log = log
        self._writer = writer
        self._metrics = metrics
        self._batches = batches

    async def predict(self, loaded: Loaded, batch: Batch, key: str | None, now: datetime) -> BatchAnswer:
        """Return the predictions once all of them are committed to the log.

        Raises:
            InvalidTrips: a request_id belongs to another trip, in the log or in the batch.
        """
        asked = await self._batches.run(_asked, loaded, batch, key, now)
        rows = asked.rows(await self._batches.score(loaded.scorer, asked.inputs))
        append = self._log.append_columns if batch.request_ids is None else partial(self._append_named, asked.id_field)
        others = await self._writer.run_exclusively(partial(append, rows), len(batch))
        answer = await self._batches.run(_answer, loaded, rows, asked.known_zones, others)
        new = ~answer.repeated
        unknown, strange = new & ~answer.known_zones, new & ~plausible(rows.event_at, now)
        self._metrics.predicted(answer.answered_by, int(new.sum()), int(unknown.sum()), int(strange.sum()))
        return answer

    def _append_named(self, id_field: str, rows: LoggedColumns) -> dict[int, LoggedPrediction]:
        """Append rows of which some have a request_id; append none if one belongs to another trip.

        Another process can log such a request_id between the check and the append. Then the other rows are logged, and
        the batch is rejected all the same: a client that sends them again gets the logged predictions.

        Raises:
            InvalidTrips: a request_id belongs to another trip.
        """
        named = [request_id for request_id in rows.request_id if request_id is not None]
        standing = self._log.standing(named)
        if standing or len(set(named)) < len(named):
            _refuse_other_trips(rows, standing, id_field)
        others = self._log.append_columns(rows)
        # Rows that another process has logged since the check, and repeats within the batch.
        if others.keys() - {n for n, name in enumerate(rows.request_id) if name in standing}:
            _refuse_other_trips(rows, {str(row.request_id): row for row in others.values()}, id_field)
        return others


def _refuse_other_trips(rows: LoggedColumns, standing: Mapping[str, LoggedPrediction], id_field: str) -> None:
    first, errors = dict(standing), ValidationErrors()
    for position, row in enumerate(rows.rows()):
        if row.request_id is not None and not row.is_for_trip_of(first.setdefault(row.request_id, row)):
            errors.column(id_field.format(row=position), TAKEN)
    errors.check()


def _asked(loaded: Loaded, batch: Batch, key: str | None, now: datetime) -> _Asked:
    batch, count = batch.begun_by(now), len(batch)
    rows = partial(
        LoggedColumns,
        [str(uuid_utils.uuid7()) for _ in range(count)],
        batch.owned_by(key) or [None] * count,
        batch.pickup_at,
        [now] * count,
        [loaded.version.number] * count,
        [LIVE] * count,
        batch.trip_distance,
        batch.passenger_count,
        batch.pickup_location_id,
        batch.dropoff_location_id,
        key=[key] * count,
    )
    inputs = feature_matrix(batch.columns(), loaded.scorer.manifest.features)
    return _Asked(inputs, rows, _known_zones(loaded, batch), batch.id_field)


def _known_zones(loaded: Loaded, batch: Batch) -> npt.NDArray[np.bool_]:
    zones = list(loaded.scorer.zones)
    return np.isin(batch.pickup_location_id, zones) & np.isin(batch.dropoff_location_id, zones)


def _answer(
    loaded: Loaded, rows: LoggedColumns, known_zones: npt.NDArray[np.bool_], others: Mapping[int, LoggedPrediction]
) -> BatchAnswer:
    """Return the predictions of a batch; a repeated request gets its earlier one, from `others` by position."""
    number = loaded.version.number
    # With copies, because the loop below changes them and `rows` is still read afterwards.
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
