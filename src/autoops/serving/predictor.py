"""The use cases behind the endpoints: predict and log, and take ground truth in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import uuid_utils
from pydantic import ValidationError

from autoops.clock import Clock
from autoops.errors import ServiceUnavailable
from autoops.predictions import LIVE, Label, LabelStatus, LoggedPrediction, PredictionLog
from autoops.serving import moments
from autoops.serving.answers import BatchAnswer
from autoops.serving.batch import Batch
from autoops.serving.batch_predictor import BatchPredictor
from autoops.serving.batches import Batches
from autoops.serving.holder import Holder, Loaded
from autoops.serving.metrics import Metrics
from autoops.serving.problems import field_problems
from autoops.serving.schemas import GroundTruth, GroundTruthReceipt, Refused, Trip
from autoops.serving.writer import Writer
from autoops.trips import Columns

_FEW = 100
"""Labels that are looked at on the event loop; to hand them over would cost more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands in the log for a trip."""

    logged: LoggedPrediction
    known_zones: bool
    repeated: bool


class Predictor:
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
        """Raises ServiceUnavailable while no version is loaded."""
        loaded = self.holder.current
        if loaded is None:
            raise ServiceUnavailable("no model version is loaded yet; GET /model/info says why")
        return loaded

    async def predict(self, trip: Trip) -> Answer:
        """Once it is committed to the log."""
        self.loaded()
        return (await self._writer.do(self._predict_all, [trip]))[0]

    async def predict_batch(self, batch: Batch) -> BatchAnswer:
        """All from one version, once all of them are committed to the log."""
        return await self._batch_predictor.predict(self.loaded(), batch, self._clock.now())

    def _predict_all(self, trips: list[Trip]) -> list[Answer]:
        """Of all requests that came together: scored at once, which costs hardly more than one row."""
        loaded = self.loaded()
        return self._record(loaded, _score(loaded, trips, self._clock.now()))

    def _record(self, loaded: Loaded, rows: Sequence[LoggedPrediction]) -> list[Answer]:
        standing = self._log.append(rows)
        number, zones = loaded.version.number, loaded.scorer.zones
        answers = [
            Answer(
                logged,
                logged.pickup_location_id in zones and logged.dropoff_location_id in zones,
                logged.id != row.id,
            )
            for row, logged in zip(rows, standing, strict=True)
        ]
        new = [answer for answer in answers if not answer.repeated]
        self._metrics.predicted(number, len(new), sum(not answer.known_zones for answer in new))
        return answers

    async def take_ground_truth(self, items: Sequence[Any]) -> GroundTruthReceipt:
        """Stores what is well formed, and says of the rest by position what is wrong with it."""
        few = len(items) <= _FEW
        labels, positions, refused = _sort_out(items) if few else await self._batches.run(_sort_out, items)
        statuses = await self._writer.do(self._attach_all, labels)
        pending = [position for position, status in zip(positions, statuses, strict=True) if status == "pending"]
        attached = len(labels) - len(pending)
        self._metrics.labelled(attached, len(pending), len(refused))
        return GroundTruthReceipt(stored=len(labels), attached=attached, pending=pending, refused=refused)

    def _attach_all(self, labels: list[Label]) -> list[LabelStatus]:
        return self._log.attach(labels, self._clock.now())


def _score(loaded: Loaded, trips: Sequence[Trip], now: datetime) -> list[LoggedPrediction]:
    event_at = [trip.pickup_at or now for trip in trips]
    minutes = loaded.scorer.predict_trips(_columns(trips, event_at)).tolist()
    number = loaded.version.number
    return [
        LoggedPrediction(
            str(uuid_utils.uuid7()),
            trip.request_id,
            at,
            now,
            number,
            LIVE,
            trip.trip_distance,
            trip.passenger_count or 0,
            trip.pickup_location_id,
            trip.dropoff_location_id,
            prediction,
        )
        for trip, at, prediction in zip(trips, event_at, minutes, strict=True)
    ]


def _columns(trips: Sequence[Trip], event_at: Sequence[datetime]) -> Columns:
    return {
        "pickup_at": moments.of_datetimes(event_at),
        "trip_distance": np.array([trip.trip_distance for trip in trips]),
        "passenger_count": np.array([trip.passenger_count or 0 for trip in trips], dtype=np.int16),
        "pickup_location_id": np.array([trip.pickup_location_id for trip in trips], dtype=np.int16),
        "dropoff_location_id": np.array([trip.dropoff_location_id for trip in trips], dtype=np.int16),
    }


def _sort_out(items: Sequence[Any]) -> tuple[list[Label], list[int], list[Refused]]:
    labels, positions, refused = [], [], []
    for position, item in enumerate(items):
        try:
            truth = GroundTruth.model_validate(item)
        except ValidationError as error:
            found = field_problems(error.errors(include_url=False, include_input=False))
            reason = "; ".join(f"{problem.field}: {problem.message}" for problem in found)
            refused.append(Refused(position=position, reason=reason))
        else:
            labels.append(Label(truth.trip_duration_minutes, truth.prediction_id, truth.request_id))
            positions.append(position)
    return labels, positions, refused
