"""Valid trips as arrays: the one form of a batch, in whichever format it was sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from autoops.serving.payloads import timestamps
from autoops.serving.payloads.schemas import Trip, TripColumns
from autoops.serving.payloads.validation_errors import ValidationErrors
from autoops.storage.logged import owned
from autoops.trips import Columns

ID_OF_ROWS = "trips.{row}.request_id"


@dataclass(frozen=True)
class Batch:
    """Valid trips, as arrays of shape `(rows,)`.

    `pickup_at` is in UTC, and NaT for trips that begin now. `trip_distance` is in miles, the locations are TLC zones.
    `request_ids` is None if no trip has one. `id_field` names the field of a row's request_id in the client's body.
    """

    pickup_at: timestamps.Timestamps
    trip_distance: npt.NDArray[np.float64]
    passenger_count: npt.NDArray[np.int16]
    pickup_location_id: npt.NDArray[np.int16]
    dropoff_location_id: npt.NDArray[np.int16]
    request_ids: Sequence[str | None] | None = None
    id_field: str = "request_id.{row}"

    def __len__(self) -> int:
        return len(self.trip_distance)

    def begun_by(self, now: datetime) -> "Batch":
        """Return the same trips; those without a pickup time begin at `now`."""
        # numpy has no time zones, and warns of an aware datetime.
        moment = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
        return replace(self, pickup_at=np.where(np.isnat(self.pickup_at), moment, self.pickup_at))

    def taken(self, rows: npt.NDArray[np.bool_]) -> "Batch":
        """Return the trips that the mask `rows`, of shape `(rows,)`, selects."""
        names = self.request_ids and [name for name, wanted in zip(self.request_ids, rows, strict=True) if wanted]
        return Batch(
            self.pickup_at[rows],
            self.trip_distance[rows],
            self.passenger_count[rows],
            self.pickup_location_id[rows],
            self.dropoff_location_id[rows],
            names,
            self.id_field,
        )

    def owned_by(self, key: str | None) -> Sequence[str | None] | None:
        """Return the request ids as they are stored for this API key."""
        if self.request_ids is None or key is None:
            return self.request_ids
        return [None if name is None else owned(name, key) for name in self.request_ids]

    def columns(self) -> Columns:
        """Return the columns of the contract; every trip must have a pickup time."""
        return {
            "pickup_at": self.pickup_at,
            "trip_distance": self.trip_distance,
            "passenger_count": self.passenger_count,
            "pickup_location_id": self.pickup_location_id,
            "dropoff_location_id": self.dropoff_location_id,
        }


def of_rows(trips: Sequence[Trip]) -> Batch:
    """Return the trips in their order; a missing pickup time becomes NaT, a missing passenger count 0."""
    return Batch(
        timestamps.from_datetimes(trip.pickup_at for trip in trips),
        np.array([trip.trip_distance for trip in trips]),
        _small([trip.passenger_count or 0 for trip in trips]),
        _small([trip.pickup_location_id for trip in trips]),
        _small([trip.dropoff_location_id for trip in trips]),
        _if_any([trip.request_id for trip in trips]),
        ID_OF_ROWS,
    )


def of_columns(columns: TripColumns) -> Batch:
    """Return the trips, after the checks that the schema cannot make.

    Raises:
        InvalidTrips: columns differ in length, or timestamps are invalid.
    """
    errors, rows = ValidationErrors("columns."), len(columns.trip_distance)
    for name in columns.model_fields_set:
        values = getattr(columns, name)
        if values is not None and len(values) != rows:
            errors.column(name, f"expected {rows} values as in trip_distance, got {len(values)}")
    at, refused = timestamps.parse_texts(columns.pickup_at or [None] * rows)
    errors.each("pickup_at", refused)
    errors.check()
    return Batch(
        at,
        np.array(columns.trip_distance),
        _small([count or 0 for count in columns.passenger_count or [0] * rows]),
        _small(columns.pickup_location_id),
        _small(columns.dropoff_location_id),
        _if_any(columns.request_id or ()),
        "columns.request_id.{row}",
    )


def _small(numbers: Sequence[int]) -> npt.NDArray[np.int16]:
    return np.array(numbers, dtype=np.int16)


def _if_any(request_ids: Sequence[Any]) -> Sequence[str | None] | None:
    return request_ids if any(name is not None for name in request_ids) else None
