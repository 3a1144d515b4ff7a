"""The use cases behind the endpoints: predict and log trips, and store ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import uuid_utils

from autoops.clock import Clock
from autoops.errors import ServiceUnavailable
from autoops.event_times import is_plausible
from autoops.serving.log.writer import Writer
from autoops.serving.metrics import Metrics
from autoops.serving.model.holder import Holder, Loaded
from autoops.serving.payloads import timestamps
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.label_bodies import Labels
from autoops.serving.payloads.responses import BatchAnswer
from autoops.serving.payloads.schemas import FieldProblem, GroundTruthReceipt, Trip
from autoops.serving.payloads.validation_errors import TAKEN, InvalidTrips
from autoops.serving.predict.batch_predictor import BatchPredictor
from autoops.serving.predict.batches import Batches
from autoops.storage.logged import owned
from autoops.storage.predictions import LIVE, Label, LabelStatus, LoggedPrediction, PredictionLog
from autoops.trips import Columns


@dataclass(frozen=True, slots=True)
class Answer:
    """The logged prediction of a trip."""

    logged: LoggedPrediction
    known_zones: bool
    repeated: bool


class Predictor:
    """The use cases of one app, called on the event loop; single trips are scored in the thread of `writer`."""

    def __init__(
        self, holder: Holder, log: PredictionLog, writer: Writer, metrics: Metrics, batches: Batches, clock: Clock
    ) -> None:
        self._log = log
        self._batches = batches
        self._batch_predictor = BatchPredictor(log, writer, metrics, batches)
        self._writer = writer
        self._metrics = metrics
        self._clock = clock
        self.holder = holder

    def loaded(self) -> Loaded:
        """Return the version that serves.

        Raises:
            ServiceUnavailable: no version is loaded yet.
        """
        loaded = self.holder.current
        if loaded is None:
            raise ServiceUnavailable("no model version is loaded yet; GET /model/info says why")
        return loaded

    async def predict(self, trip: Trip, key: str | None = None) -> Answer:
        """Return the prediction for a trip that the API key `key` sends, once it is committed to the log.

        Raises:
            InvalidTrips: the request_id belongs to another trip.
        """
        # Refused before it waits; `_predict_all` reads the version once for its whole group.
        self.loaded()
        (answer,) = await self._writer.do(self._predict_all, [(trip, key)])
        if answer is None:
            raise InvalidTrips([FieldProblem(field="request_id", message=TAKEN)], 1)
        return answer

    async def predict_batch(self, batch: Batch, key: str | None = None) -> BatchAnswer:
        """Return the predictions, new ones all by one version, once all of them are committed to the log."""
        return await self._batch_predictor.predict(self.loaded(), batch, key, self._clock.now())

    def _predict_all(self, trips: list[tuple[Trip, str | None]]) -> list[Answer | None]:
        """Predict the trips of concurrent requests at once, which costs hardly more than one trip, and log them."""
        loaded = self.loaded()
        return self._record(loaded, _score(loaded, trips, self._clock.now()))

    def _record(self, loaded: Loaded, rows: Sequence[LoggedPrediction]) -> list[Answer | None]:
        """Log the rows and return the predictions, None where the request_id belongs to another trip."""
        standing = self._log.append(rows)
        number, zones = loaded.version.number, loaded.scorer.zones
        answers = [
            Answer(
                logged,
                logged.pickup_location_id in zones and logged.dropoff_location_id in zones,
                logged.id != row.id,
            )
            if logged.id == row.id or logged.is_for_trip_of(row)
            else None
            for row, logged in zip(rows, standing, strict=True)
        ]
        new = [answer for answer in answers if answer is not None and not answer.repeated]
        unknown = sum(not answer.known_zones for answer in new)
        strange = sum(not is_plausible(answer.logged.event_at, answer.logged.predicted_at) for answer in new)
        self._metrics.predicted(number, len(new), unknown, strange)
        return answers

    async def take_ground_truth(self, labels: Labels) -> GroundTruthReceipt:
        """Store the well-formed labels, and return the receipt once they are committed."""
        statuses = await self._writer.do(self._attach_all, labels.well_formed)
        pending = [position for position, status in zip(labels.positions, statuses, strict=True) if status == "pending"]
        attached = len(statuses) - len(pending)
        self._metrics.labelled(attached, len(pending), len(labels.refused))
        return GroundTruthReceipt(stored=len(statuses), attached=attached, pending=pending, refused=labels.refused)

    def _attach_all(self, labels: list[Label]) -> list[LabelStatus]:
        return self._log.attach(labels, self._clock.now())


def _score(loaded: Loaded, asked: Sequence[tuple[Trip, str | None]], now: datetime) -> list[LoggedPrediction]:
    trips = [trip for trip, _ in asked]
    event_at = [trip.pickup_at or now for trip in trips]
    minutes = loaded.scorer.predict_trips(_columns(trips, event_at)).tolist()
    number = loaded.version.number
    return [
        LoggedPrediction(
            str(uuid_utils.uuid7()),
            None if trip.request_id is None else owned(trip.request_id, key),
            at,
            now,
            number,
            LIVE,
            trip.trip_distance,
            trip.passenger_count or 0,
            trip.pickup_location_id,
            trip.dropoff_location_id,
            prediction,
            key,
        )
        for (trip, key), at, prediction in zip(asked, event_at, minutes, strict=True)
    ]


def _columns(trips: Sequence[Trip], event_at: Sequence[datetime]) -> Columns:
    return {
        "pickup_at": timestamps.from_datetimes(event_at),
        "trip_distance": np.array([trip.trip_distance for trip in trips]),
        "passenger_count": np.array([trip.passenger_count or 0 for trip in trips], dtype=np.int16),
        "pickup_location_id": np.array([trip.pickup_location_id for trip in trips], dtype=np.int16),
        "dropoff_location_id": np.array([trip.dropoff_location_id for trip in trips], dtype=np.int16),
    }
