"""Spans of event time that no single row decides: a client whose clock is wrong sends one of 2090.

A span leaves out a few rows at either end, and rows far from those that were logged with them are strays. Neither rule
depends on today's date, so a replay of old months is judged like live traffic.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.datetime64]
"""Event times in UTC, datetime64[us], in any order."""

TRIMMED_SHARE = 0.01
"""Share of a window's rows at either end that its span leaves out."""

_STRAYS, _STRAY_SHARE = 10, 0.01
"""Most rows, and share of rows, of a whole log that are strays: beyond its end, or in a month of their own."""

EARLIEST = timedelta(days=14_600)
"""How long before its prediction a row may begin.

Forty years allow a replay of old months, but not clocks that began again at 1970 or 1980.
"""

_BLOCK_ROWS = 250
_NEAR = np.timedelta64(7, "D")
_SPREADS = 5


def span_of(times: Times) -> tuple[datetime, datetime]:
    """Return the first and last event time without `TRIMMED_SHARE` of the rows at either end; both are times of rows.

    `times` has at least one row. Of three rows or more, at least one is left out at either end.
    """
    count = len(times)
    trimmed = min(max(1, int(np.ceil(count * TRIMMED_SHARE))), (count - 1) // 2)
    ordered = np.sort(times)
    return aware(ordered[trimmed]), aware(ordered[count - 1 - trimmed])


def newest_of(times: Times) -> datetime | None:
    """Return the newest event time without the `strays_in` newest rows; None without rows."""
    if not len(times):
        return None
    last = len(times) - 1 - strays_in(len(times))
    return aware(np.partition(times, last)[last])


def strays_in(rows: int) -> int:
    """Return how many of so many rows are left out as strays."""
    return min(_STRAYS, int(rows * _STRAY_SHARE))


def near(times: Times) -> npt.NDArray[np.bool_]:
    """Return a mask, shape (rows,), of the rows near those that arrived with them; `times` are in the order of arrival.

    A row is near within a week of the median of its block of consecutive rows, or within five times the width of the
    block's middle 80 %. So all rows of a month that is sent at once, in any order, are near.
    """
    ticks = times.astype("datetime64[us]").astype(np.int64)
    kept = np.ones(len(ticks), dtype=bool)
    for begin in range(0, len(ticks), _BLOCK_ROWS):
        # The last block reaches back to full length: few rows have no reliable quantiles.
        block = slice(max(0, min(begin, len(ticks) - _BLOCK_ROWS)), begin + _BLOCK_ROWS)
        early, middle, late = np.quantile(ticks[block], [0.1, 0.5, 0.9])
        reach = max(float(_NEAR / np.timedelta64(1, "us")), _SPREADS * (late - early))
        kept[begin : begin + _BLOCK_ROWS] = np.abs(ticks[begin : begin + _BLOCK_ROWS] - middle) <= reach
    return kept


def plausible(times: Times, now: datetime, ahead: timedelta) -> npt.NDArray[np.bool_]:
    """Return a mask, shape (rows,), of the rows that a prediction made `now` can be about: at most `ahead` of it."""
    return np.asarray((times >= _naive(now - EARLIEST)) & (times <= _naive(now + ahead)))


def is_plausible(event_at: datetime, now: datetime, ahead: timedelta) -> bool:
    """Return whether a prediction made `now` can be about a row at `event_at`, at most `ahead` of it."""
    return now - EARLIEST <= event_at <= now + ahead


def times_of(moments: "list[datetime]") -> Times:
    """Return aware datetimes as an array of shape (rows,)."""
    return np.array([at.astimezone(UTC).replace(tzinfo=None) for at in moments], dtype="datetime64[us]")


def aware(at: np.datetime64) -> datetime:
    """Return `at`, which is in UTC, as an aware datetime with microsecond precision."""
    found: datetime = at.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)


def _naive(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")
