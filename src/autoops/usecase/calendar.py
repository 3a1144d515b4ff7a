"""The calendar of event times on a local wall clock. Plain numpy: the request path needs no DataFrame."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from autoops.usecase.columns import Array

Hours = npt.NDArray[np.int64]

_QUARTER_S = 900
"""Offsets from UTC change on full quarters of an hour."""


@lru_cache(maxsize=262144)
def _offset_s(zone: ZoneInfo, quarter: int) -> int:
    """Return the offset from UTC in seconds during a quarter of an hour since the epoch."""
    offset = datetime.fromtimestamp(quarter * _QUARTER_S, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


def local_hours(event_at: Array, zone: ZoneInfo) -> Hours:
    """Return hours since the epoch on the zone's wall clock, shape (rows,), from datetime64 in UTC."""
    seconds = event_at.astype("datetime64[s]").astype(np.int64)
    if seconds.size == 1:
        # A request's only row: arithmetic of Python's own is faster than an array of one.
        second = int(seconds[0])
        return np.array([(second + _offset_s(zone, second // _QUARTER_S)) // 3600])
    quarters = seconds // _QUARTER_S
    known, position = np.unique(quarters, return_inverse=True)
    offsets = np.array([_offset_s(zone, quarter) for quarter in known.tolist()], dtype=np.int64)
    return np.asarray((seconds + offsets[position]) // 3600)


def local_days(event_at: Array, zone: ZoneInfo) -> Hours:
    """Return days since the epoch on the zone's calendar, shape (rows,), from datetime64 in UTC."""
    return local_hours(event_at, zone) // 24


CalendarName = Literal["hour_of_day", "day_of_week", "hour_of_week", "month_of_year"]
OF_HOURS: dict[CalendarName, Callable[[Hours], Hours]] = {
    "hour_of_day": lambda hours: hours % 24,
    "day_of_week": lambda hours: (hours // 24 + 3) % 7,
    "hour_of_week": lambda hours: (hours + 3 * 24) % 168,
    "month_of_year": lambda hours: hours.astype("datetime64[h]").astype("datetime64[M]").astype(np.int64) % 12 + 1,
}
"""What can be derived from event time, each from `local_hours`; days of the week count from Monday, which is 0, and the
epoch was a Thursday. Such features drift by construction, so they count in no drift."""


def calendar(name: CalendarName, event_at: Array, zone: ZoneInfo) -> Hours:
    """Return a feature of the calendar, shape (rows,), from datetime64 in UTC."""
    return OF_HOURS[name](local_hours(event_at, zone))
