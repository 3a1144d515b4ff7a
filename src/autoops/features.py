"""The only transform from trips to model inputs; training and serving both call it.

Plain numpy, so that the request path needs no DataFrame.
"""

import difflib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from autoops.errors import SettingsError
from autoops.months import NEW_YORK
from autoops.trips import Columns

Array = npt.NDArray[Any]


@lru_cache(maxsize=65536)
def _offset_hours(hour_since_epoch: int) -> int:
    """Return New York's UTC offset in hours. It changes on full UTC hours only, so one look-up serves the hour."""
    moment = datetime.fromtimestamp(hour_since_epoch * 3600, UTC).astimezone(NEW_YORK)
    offset = moment.utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 3600)


def local_hours(pickup_at: Array) -> npt.NDArray[np.int64]:
    """Return hours since the epoch on a New York wall clock, shape (rows,), from datetime64 in UTC."""
    utc = pickup_at.astype("datetime64[h]").astype(np.int64)
    # A single request: np.unique alone takes ten times as long as this look-up.
    if utc.size == 1:
        return utc + _offset_hours(int(utc[0]))
    hours, position = np.unique(utc, return_inverse=True)
    offsets = np.array([_offset_hours(int(h)) for h in hours], dtype=np.int64)
    return utc + offsets[position]


def hour_of_day(pickup_at: Array) -> npt.NDArray[np.int64]:
    """Return the hour in New York, 0 to 23, shape (rows,), from datetime64 in UTC."""
    return local_hours(pickup_at) % 24


def day_of_week(pickup_at: Array) -> npt.NDArray[np.int64]:
    """Return 0 for Monday to 6 for Sunday, shape (rows,); the epoch was a Thursday."""
    return (local_hours(pickup_at) // 24 + 3) % 7


def hour_of_week(pickup_at: Array) -> npt.NDArray[np.int64]:
    """Return 0 for Monday 00:00 to 01:00, up to 167, shape (rows,)."""
    return (local_hours(pickup_at) + 3 * 24) % 168


def _month_of_year(pickup_at: Array) -> npt.NDArray[np.int64]:
    local = local_hours(pickup_at).astype("datetime64[h]")
    return local.astype("datetime64[M]").astype(np.int64) % 12 + 1


FEATURES: dict[str, Callable[[Columns], Array]] = {
    "trip_distance": lambda trips: trips["trip_distance"],
    "passenger_count": lambda trips: trips["passenger_count"],
    "hour": lambda trips: hour_of_day(trips["pickup_at"]),
    "day_of_week": lambda trips: day_of_week(trips["pickup_at"]),
    "month": lambda trips: _month_of_year(trips["pickup_at"]),
    "pickup_location_id": lambda trips: trips["pickup_location_id"],
    "dropoff_location_id": lambda trips: trips["dropoff_location_id"],
}
CALENDAR = frozenset({"hour", "day_of_week", "month"})
"""Features that drift by construction, and therefore count in no drift."""

CATEGORICAL = frozenset({"pickup_location_id", "dropoff_location_id", "passenger_count"})
GROUPS = {"pickup_location_id": "zones", "dropoff_location_id": "zones"}
"""Features that permutation importance permutes together, because each predicts much of the other."""


def check_features(names: Sequence[str]) -> None:
    """Require a list of at least one known feature.

    Raises:
        SettingsError: a name is no feature, a name is listed twice, or there is none.
    """
    for name in names:
        if name not in FEATURES:
            near = difflib.get_close_matches(name, FEATURES, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise SettingsError(f"model.features: {name!r} is none of {', '.join(FEATURES)}{meant}")
    if len(set(names)) != len(names) or not names:
        raise SettingsError("model.features: expected at least one feature, each listed once")


def feature_matrix(trips: Columns, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return model inputs, shape (rows, len(names)), in the order of `names`."""
    matrix = np.empty((len(trips["pickup_at"]), len(names)), dtype=np.float32)
    for position, name in enumerate(names):
        matrix[:, position] = FEATURES[name](trips)
    return matrix
