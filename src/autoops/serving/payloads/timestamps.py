"""`pickup_at`: what a client may send, and what it means; single values and arrays, by the same rules."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from autoops.months import NEW_YORK, Month

Timestamps = npt.NDArray[np.datetime64]
"""datetime64[us], of shape `(rows,)`; NaT where there is none."""

EARLIEST, LATEST = Month(2009, 1).starts_at, Month(2099, 12).ends_at
"""The range of `pickup_at`: `EARLIEST` is included, `LATEST` is not."""

OUT_OF_RANGE = "expected a moment in 2009 to 2099, New York time"

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_EARLIEST, _LATEST = (np.datetime64(edge.replace(tzinfo=None), "us") for edge in (EARLIEST, LATEST))
_DAY = np.timedelta64(1, "D")
_FILLING = _EARLIEST
"""Replaces a timestamp that is missing or out of range while the others are computed."""

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_NOT_A_TIME = int(np.datetime64("NaT").astype(np.int64))

_PLAIN = re.compile(r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?\n)+", re.ASCII)
"""Texts, one per line, that numpy parses as Python does."""

_UTC_ENDINGS = ("Z", "+00:00")


def parse_timestamp(value: object) -> datetime:
    """Convert ISO 8601 to UTC.

    Without an offset the value is New York's wall clock: an hour that occurs twice is the first of the two, and a time
    that the spring change skips is as many minutes after the change as it is into the gap.

    Raises:
        PydanticCustomError: the value is not date and time in ISO 8601, or is out of range.
    """
    # `fromisoformat` also takes a date alone, as midnight.
    if not isinstance(value, str) or len(value) < len("2023-01-15T09"):
        raise PydanticCustomError("moment", "expected date and time in ISO 8601, such as 2023-01-15T09:30:00")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("moment", "not a valid date and time in ISO 8601") from None
    # Near the ends of its range a datetime overflows when it is converted to UTC.
    if EARLIEST.year - 1 <= moment.year <= LATEST.year + 1:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=NEW_YORK)
        moment = moment.astimezone(UTC)
        if EARLIEST <= moment < LATEST:
            return moment
    raise PydanticCustomError("moment_range", OUT_OF_RANGE)


_TIMESTAMP = WithJsonSchema({"type": "string", "format": "date-time", "pattern": "^20(09|[1-9][0-9])-"})
"""The range, as nearly as JSON Schema can express it: its first and last day begin and end in New York."""

Timestamp = Annotated[datetime, BeforeValidator(parse_timestamp), _TIMESTAMP]
TimestampText = Annotated[str, _TIMESTAMP]
"""A timestamp that is parsed later, with the others of its column."""


@lru_cache(maxsize=65536)
def _offset_hours(local_hour: int) -> int:
    """Return New York's UTC offset in hours, for an hour on its wall clock, counted from 1970.

    The offset changes at full hours, so one lookup serves the hour. For an hour that occurs twice it is that of the
    first one, and in the spring gap the one before the change.
    """
    offset = (datetime(1970, 1, 1, tzinfo=NEW_YORK) + timedelta(hours=local_hour)).utcoffset()
    assert offset is not None
    return round(offset / timedelta(hours=1))


def to_utc(wall_clock: Timestamps) -> Timestamps:
    """Convert New York's wall clock to UTC."""
    hours, position = np.unique(wall_clock.astype("datetime64[h]").astype(np.int64), return_inverse=True)
    offsets = np.array([_offset_hours(int(hour)) for hour in hours], dtype="timedelta64[h]")
    return np.asarray(wall_clock - offsets[position], dtype="datetime64[us]")


def _in_range(moments: Timestamps) -> npt.NDArray[np.bool_]:
    return (moments >= _EARLIEST) & (moments < _LATEST)


def parse_texts(texts: Sequence[str | None]) -> tuple[Timestamps, list[tuple[int, str]]]:
    """Return the timestamps in UTC, and the positions of the invalid texts with their errors."""
    quick = _of_plain_texts(texts)
    if quick is not None and _in_range(quick).all():
        return quick, []
    moments = np.full(len(texts), "NaT", dtype="datetime64[us]")
    refused = []
    for position, text in enumerate(texts):
        if text is not None:
            try:
                moments[position] = parse_timestamp(text).replace(tzinfo=None)
            except PydanticCustomError as error:
                refused.append((position, error.message()))
    return moments, refused


def _of_plain_texts(texts: Sequence[str | None]) -> Timestamps | None:
    """Return the timestamps in UTC if all texts have one plain form, as a program writes them; else None.

    Does not check the range.
    """
    first = texts[0] if texts else None
    if first is None or None in texts:
        return None
    ending = next((ending for ending in _UTC_ENDINGS if first.endswith(ending)), "")
    if ending and not all(text.endswith(ending) for text in texts):  # type: ignore[union-attr]
        return None
    stems = [text[: -len(ending)] for text in texts] if ending else list(texts)  # type: ignore[index]
    # numpy also takes "NaT", "now" and a year alone.
    if _PLAIN.fullmatch("\n".join(stems) + "\n") is None:  # type: ignore[arg-type]
        return None
    try:
        moments = np.array(stems, dtype="datetime64[us]")
    except ValueError:
        return None
    if ending:
        return moments
    near = (moments >= _EARLIEST - _DAY) & (moments < _LATEST + _DAY)
    return to_utc(moments) if near.all() else None


def from_datetimes(given: Iterable[datetime | None]) -> Timestamps:
    """Convert datetimes to timestamps in UTC, exactly, in an eighth of the time that numpy takes."""
    counts = [_NOT_A_TIME if at is None else (at - _EPOCH) // _MICROSECOND for at in given]
    return np.array(counts, dtype=np.int64).view("datetime64[us]")


def from_arrow(counts: npt.NDArray[np.int64], unit: str, naive: bool) -> tuple[Timestamps, npt.NDArray[np.bool_]]:
    """Convert Arrow timestamps to UTC, and return which are in range; all arrays have the shape `(rows,)`.

    `counts` are in `unit` since 1970, on New York's wall clock if `naive`, else in UTC. No count overflows; fractions
    of a microsecond are cut off.
    """
    low, high = (int(edge.astype(np.int64)) for edge in (_EARLIEST - _DAY, _LATEST + _DAY))
    if unit == "ns":
        microseconds = counts // 1000
        near = (microseconds >= low) & (microseconds < high)
    else:
        factor = _MICROSECONDS[unit]
        near = (counts >= low // factor) & (counts < high // factor)
        microseconds = np.where(near, counts, 0) * factor
    moments = np.where(near, microseconds, _FILLING.astype(np.int64)).astype("datetime64[us]")
    if naive:
        moments = to_utc(moments)
    return moments, near & _in_range(moments)
