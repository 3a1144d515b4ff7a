"""Event times in requests: what a client may send, and what it means; single values and arrays, by the same rules."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from autoops.usecase.contract import EventTime

Timestamps = npt.NDArray[np.datetime64]
"""datetime64[us], of shape `(rows,)`; NaT where there is none."""

LAST_YEAR = 2099

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_DAY = np.timedelta64(1, "D")
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_NOT_A_TIME = int(np.datetime64("NaT").astype(np.int64))
_QUARTER = timedelta(minutes=15)

_PLAIN = re.compile(r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?\n)+", re.ASCII)
"""Texts, one per line, that numpy parses as Python does."""

_UTC_ENDINGS = ("Z", "+00:00")


class TimestampReader:
    """Reads event times by the rules of a contract; texts and Arrow without an offset are its zone's wall clock."""

    def __init__(self, rules: EventTime) -> None:
        zone = self._zone = ZoneInfo(rules.zone)
        self._first = datetime(rules.earliest, 1, 1, tzinfo=zone).astimezone(UTC)
        self._end = datetime(LAST_YEAR + 1, 1, 1, tzinfo=zone).astimezone(UTC)
        self.out_of_range = f"expected a moment in {rules.earliest} to {LAST_YEAR}, {rules.told_zone} time"
        self._years = range(self._first.year - 1, self._end.year + 2)
        self._bounds = tuple(np.datetime64(edge.replace(tzinfo=None), "us") for edge in (self._first, self._end))
        # The range as nearly as JSON Schema can express it: its first and last day begin and end in the zone.
        schema = WithJsonSchema({"type": "string", "format": "date-time", "pattern": _pattern(rules.earliest)})
        self.parsed: Any = Annotated[datetime, BeforeValidator(self.parse), schema]
        self.text: Any = Annotated[str, schema]
        """Parsed later, with the others of its column."""

    def parse(self, value: object) -> datetime:
        """Convert ISO 8601 to UTC.

        Without an offset the value is the zone's wall clock: an hour that occurs twice is the first of the two, and a
        time that the spring change skips is as many minutes after the change as it is into the gap.

        Raises:
            PydanticCustomError: the value is not date and time in ISO 8601, or is out of range.
        """
        if not isinstance(value, str) or len(value) < len("2023-01-15T09"):
            raise PydanticCustomError("moment", "expected date and time in ISO 8601, such as 2023-01-15T09:30:00")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("moment", "not a valid date and time in ISO 8601") from None
        # Conversions overflow near year 1 and year 9999.
        if moment.year in self._years:
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            moment = moment.astimezone(UTC)
            if self._first <= moment < self._end:
                return moment
        raise PydanticCustomError("moment_range", "{told}", {"told": self.out_of_range})

    def to_utc(self, wall_clock: Timestamps) -> Timestamps:
        """Convert the zone's wall clock to UTC."""
        quarters = wall_clock.astype("datetime64[s]").astype(np.int64) // int(_QUARTER.total_seconds())
        known, position = np.unique(quarters, return_inverse=True)
        offsets = np.array([_offset_s(self._zone, quarter) for quarter in known.tolist()], dtype="timedelta64[s]")
        return np.asarray(wall_clock - offsets[position], dtype="datetime64[us]")

    def _in_range(self, moments: Timestamps) -> npt.NDArray[np.bool_]:
        first, end = self._bounds
        return np.asarray((moments >= first) & (moments < end))

    def parse_texts(self, texts: Sequence[str | None]) -> tuple[Timestamps, list[tuple[int, str]]]:
        """Return the timestamps in UTC, and the positions of the invalid texts with their errors."""
        quick = self._of_plain_texts(texts)
        if quick is not None and self._in_range(quick).all():
            return quick, []
        moments = np.full(len(texts), "NaT", dtype="datetime64[us]")
        refused = []
        for position, text in enumerate(texts):
            if text is not None:
                try:
                    moments[position] = self.parse(text).replace(tzinfo=None)
                except PydanticCustomError as error:
                    refused.append((position, error.message()))
        return moments, refused

    def _of_plain_texts(self, texts: Sequence[str | None]) -> Timestamps | None:
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
        # One match for all texts: numpy would also accept forms that Python refuses.
        if _PLAIN.fullmatch("\n".join(stems) + "\n") is None:  # type: ignore[arg-type]
            return None
        try:
            moments = np.array(stems, dtype="datetime64[us]")
        except ValueError:
            return None
        if ending:
            return moments
        begin, end = self._bounds
        near = (moments >= begin - _DAY) & (moments < end + _DAY)
        return self.to_utc(moments) if near.all() else None

    def from_arrow(
        self, counts: npt.NDArray[np.int64], unit: str, naive: bool
    ) -> tuple[Timestamps, npt.NDArray[np.bool_]]:
        """Convert Arrow timestamps to UTC, and return which are in range; all arrays have the shape `(rows,)`.

        `counts` are in `unit` since 1970, on the zone's wall clock if `naive`, else in UTC. No count overflows;
        fractions of a microsecond are cut off.
        """
        begin, end = self._bounds
        low, high = (int(edge.astype(np.int64)) for edge in (begin - _DAY, end + _DAY))
        if unit == "ns":
            microseconds = counts // 1000
            near = (microseconds >= low) & (microseconds < high)
        else:
            factor = _MICROSECONDS[unit]
            # Compared before the multiplication, which could overflow.
            near = (counts >= low // factor) & (counts < high // factor)
            microseconds = np.where(near, counts, 0) * factor
        # A filling where a timestamp is out of range, while the others are computed.
        moments = np.where(near, microseconds, begin.astype(np.int64)).astype("datetime64[us]")
        if naive:
            moments = self.to_utc(moments)
        return moments, near & self._in_range(moments)


def _pattern(first: int) -> str:
    """Return the beginning of an ISO 8601 text of the years from `first` to LAST_YEAR, as a regular expression."""
    decade, year = divmod(first % 100, 10)
    last = "9" if year == 9 else f"[{year}-9]"
    later = [] if decade == 9 else ["9[0-9]" if decade == 8 else f"[{decade + 1}-9][0-9]"]
    within = "|".join([f"{decade}{last}", *later])
    return f"^20({within})-" if first >= 2000 else f"^(19({within})|20[0-9][0-9])-"


@lru_cache(maxsize=262_144)
def _offset_s(zone: ZoneInfo, quarter: int) -> int:
    """Return the zone's UTC offset in seconds, for a quarter of an hour on its wall clock, counted from 1970.

    The offset changes at full quarters, so one lookup serves the quarter. For an hour that occurs twice it is that of
    the first one, and in the spring gap the one before the change.
    """
    offset = (datetime(1970, 1, 1, tzinfo=zone) + quarter * _QUARTER).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


def from_datetimes(given: Iterable[datetime | None]) -> Timestamps:
    """Convert datetimes to timestamps in UTC, exactly, in an eighth of the time that numpy takes."""
    counts = [_NOT_A_TIME if at is None else (at - _EPOCH) // _MICROSECOND for at in given]
    return np.array(counts, dtype=np.int64).view("datetime64[us]")
