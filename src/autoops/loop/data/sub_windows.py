"""A published month as consecutive windows of event time. Pure: the same trips and checks lead to the same windows.

An incident needs alarms in more than one window. A month judged as one window opens none before the next month is
published, which in real life takes months; judged in thirds of about ten days, it opens one by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from autoops.drift.thresholds import WEEK_DAYS

MOST = 3
LEAST = timedelta(days=WEEK_DAYS)
"""The longest span that thresholds are calibrated for: a shorter window varies more than these allow."""

Timestamps = npt.NDArray[np.datetime64]
"""Event times in UTC, in order, to the microsecond."""


@dataclass(frozen=True)
class Span:
    """Event time from `begin` up to, and without, `end`, and how many trips lie in it."""

    begin: datetime
    end: datetime
    rows: int


@dataclass(frozen=True)
class Attempt:
    """A span that a check was given; not `judged` where it had too little to say anything."""

    span: Span
    judged: bool


def unjudged(moments: Timestamps, watermark: datetime, attempts: Sequence[Attempt], size: int) -> list[Span]:
    """The windows of a month's trips that have not been judged yet, in order.

    Only trips after `watermark`, the newest that the version knows from its training, and after the last judged
    window of the month count: so no trip counts twice, and what a republished month has more is a window of its own.
    What was too little is looked at again when it has changed.
    """
    judged_until = max((attempt.span.end for attempt in attempts if attempt.judged), default=watermark)
    rest = moments[(moments > moment_of(watermark)) & (moments >= moment_of(judged_until))]
    tried = {attempt.span for attempt in attempts}
    return [span for span in split(rest, size) if span not in tried]


def split(moments: Timestamps, size: int) -> list[Span]:
    """Equal parts of the time that the trips cover: as many as MOST while each is LEAST long and holds `size` trips,
    otherwise fewer; at last all of it as one, however short or small."""
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
    first, stop = ticks[0], ticks[-1] + 1
    edges = first + (stop - first) * np.arange(count + 1) // count
    rows = np.diff(np.searchsorted(ticks, edges))
    bounds = [_aware(edge) for edge in edges]
    return [Span(bounds[part], bounds[part + 1], int(rows[part])) for part in range(count)]


def _aware(tick: np.int64) -> datetime:
    """From microseconds since the epoch."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(tick))


def moment_of(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")
