"""The data contract: what a trip is, in which units, within which bounds.

Applied at every boundary: cleaning, HTTP requests, the prediction log and training all refer to this module.
Frames of trips have the columns of `TRIP_COLUMNS`; `pickup_at` is UTC-aware with microseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TARGET = "trip_duration_minutes"
TRIP_COLUMNS = (
    "pickup_at",
    "trip_distance",
    "passenger_count",
    "pickup_location_id",
    "dropoff_location_id",
)


@dataclass(frozen=True)
class Bounds:
    """An interval of values of a trip's field, closed unless `low_open` or `high_open`."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def contains(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return a mask of the shape of `values`; NaN is outside."""
        above = values > self.low if self.low_open else values >= self.low
        below = values < self.high if self.high_open else values <= self.high
        return np.asarray(above & below)


DISTANCE_MILES = Bounds(0, 100, low_open=True, high_open=True)
DURATION_MINUTES = Bounds(1, 60)
"""Durations of trips that models are trained and judged on."""
LABEL_MINUTES = Bounds(0, 24 * 60, low_open=True)
"""Ground truth that is accepted and stored. A label outside DURATION_MINUTES counts in no error."""
LOCATION_ID = Bounds(1, 265)
PASSENGER_COUNT = Bounds(0, 9)
"""0 means: not reported."""

Columns = Mapping[str, npt.NDArray[Any]]
"""Trips by column, arrays of shape (rows,); `pickup_at` as datetime64[us] in UTC."""


def columns_of(frame: Any) -> Columns:
    """Return the trip columns of a DataFrame as numpy arrays of shape (rows,)."""
    moments = frame["pickup_at"].dt.tz_localize(None)
    columns = {name: frame[name].to_numpy() for name in TRIP_COLUMNS if name != "pickup_at"}
    return columns | {"pickup_at": moments.to_numpy(dtype="datetime64[us]")}
