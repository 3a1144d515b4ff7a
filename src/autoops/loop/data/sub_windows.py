"""A published month as consecutive windows of event time. Pure: the same rows and checks lead to the same windows.

An incident needs alarms in more than one window. A month that is judged as one window opens none before the next month
is published, which takes months in production. Sub-windows of about ten days let a single month open one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from autoops.drift.thresholds import WEEK_DAYS

MOST = 3
LEAST = timedelta(days=WEEK_DAYS)
"""Shortest sub-window: the longest span that thresholds are calibrated for. A shorter one varies more than they
allow."""

Timestamps = npt.NDArray[np.datetime64]
"""Event times in UTC, ascending: datetime64[us], shape (rows,)."""


@dataclass(frozen=True)
class Span:
    """Event time from `begin` (inclusive) to `end` (exclusive), and the number of rows in it."""

    begin: datetime
    end: datetime
    rows: int


@dataclass(frozen=True)
class Attempt:
    """A span that a check was given; `judged` is False where it had too few rows for a verdict."""

    span: Span
    judged: bool


def unjudged(moments: Timestamps, watermark: datetime, attempts: Sequence[Attempt], size: int) -> list[Span]:
    """Return the windows of a month's rows that have not been judged yet, in order.

    Only rows after `watermark`, the newest that the version knows from its training, and after the last judged window
    of the month count: no row counts twice, and later rows of a republished month form windows of their own. A window
    with too few rows is tried again once it has changed.
    """
    judged_until = max((attempt.span.end for attempt in attempts if attempt.judged), default=watermark)
    # The watermark is a row that was seen; a judged span ends before its `end`.
    rest = moments[(moments > moment_of(watermark)) & (moments >= moment_of(judged_until))]
    tried = {attempt.span for attempt in attempts}
    return [span for span in split(rest, size) if span not in tried]


def split(moments: Timestamps, size: int) -> list[Span]:
    """Return equal parts of the time that the rows cover.

    There are as many as `MOST` while each is `LEAST` long and holds `size` rows, otherwise fewer; at last one part
    with all rows, however short or small.
    """
    if not len(moments):
        return []
    weeks = int((moments[-1] - moments[0]) / np.timedelta64(LEAST))
    for count in range(min(MOST, weeks), 1, -1):
        spans = _equal(moments, count)
        if min(span.rows for span in spans) >= size:
            return spans
    return _equal(moments, 1)


def _equal(moments: Timestamps, count: int) -> list[Span]:
    ticks = moments.astype("datetime64[us]").astype(np.int64)
    # Spans are half-open: one tick more, so that the last row is in the last of them.
    first, stop = ticks[0], ticks[-1] + 1
    edges = first + (stop - first) * np.arange(count + 1) // count
    rows = np.diff(np.searchsorted(ticks, edges))
    bounds = [_aware(edge) for edge in edges]
    return [Span(bounds[part], bounds[part + 1], int(rows[part])) for part in range(count)]


def _aware(tick: np.int64) -> datetime:
    """Convert microseconds since the epoch."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(tick))


def moment_of(at: datetime) -> np.datetime64:
    """Return an aware datetime as datetime64[us] in UTC."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")
