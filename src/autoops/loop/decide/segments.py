"""Segments of trips: the groups of rows in which a model may do worse while it does better overall.

`gate.segments` lists families (one segment for each of their bands) and single zones (`pickup_location_id=132`). A trip
is in one band of each family, and in as many segments as there are families and zones that fit it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from autoops.features import day_of_week, hour_of_day
from autoops.trips import Columns

Rows = npt.NDArray[np.bool_]
"""A boolean mask of trips, shape (rows,)."""

SATURDAY = 5


def _hour_bands(trips: Columns) -> dict[str, Rows]:
    """Split by the hour in New York; the night, which passes midnight, is one band."""
    hour = hour_of_day(trips["pickup_at"])
    return {
        "hours 22 to 6": (hour >= 22) | (hour < 6),
        "hours 6 to 10": (hour >= 6) & (hour < 10),
        "hours 10 to 16": (hour >= 10) & (hour < 16),
        "hours 16 to 22": (hour >= 16) & (hour < 22),
    }


def _distance_bands(trips: Columns) -> dict[str, Rows]:
    miles = trips["trip_distance"]
    return {
        "under 2 miles": miles < 2,
        "2 to 5 miles": (miles >= 2) & (miles < 5),
        "5 miles and more": miles >= 5,
    }


def _no_passenger_count(trips: Columns) -> dict[str, Rows]:
    """Select trips without a passenger count; they reached the TLC another way, and are longer than the others."""
    return {"no passenger count": trips["passenger_count"] == 0}


def _day_types(trips: Columns) -> dict[str, Rows]:
    """Split by type of day; one week has two days of weekend, too few to judge it by."""
    weekend = day_of_week(trips["pickup_at"]) >= SATURDAY
    return {"Monday to Friday": ~weekend, "weekend": weekend}


FAMILIES: Mapping[str, Callable[[Columns], dict[str, Rows]]] = {
    "hour_band": _hour_bands,
    "distance_band": _distance_bands,
    "no_passenger_count": _no_passenger_count,
    "day_type": _day_types,
}


def segments_of(trips: Columns, names: Sequence[str]) -> dict[str, Rows]:
    """Return the masks of the segments that `names`, a checked `gate.segments`, asks for, in its order."""
    found: dict[str, Rows] = {}
    for name in names:
        found |= FAMILIES[name](trips) if name in FAMILIES else _zone(trips, name)
    return found


def _zone(trips: Columns, name: str) -> dict[str, Rows]:
    column, _, zone = name.partition("=")
    return {name: trips[column] == int(zone)}
