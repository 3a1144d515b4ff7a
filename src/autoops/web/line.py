"""The loss over time: windows by day and version, the band of ordinary windows, and what happened meanwhile."""

import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from autoops.drift.thresholds import Thresholds
from autoops.errors import BundleError, NotFound, RegistryUnavailable
from autoops.loop.context import Context
from autoops.loop.records.checks import WindowLoss
from autoops.loop.records.kinds import EntryKind
from autoops.models import bundle
from autoops.models.bundle_cache import fetch_bundle

CHECKS, MARKS, BANDS = 2_000, 60, 3
"""Checks, marks and versions with a band, the newest; the cache of bundles has room for four."""

DAY_S, AWAY_S = 86_400.0, 60.0

MARKED: Mapping[EntryKind, str] = {
    "incident opened": "incident {0.incident_id}",
    "retraining begun": "retraining",
    "promoted": "v{0.model_version} promoted",
    "rolled back": "v{0.model_version} rolled back",
}


class Point(NamedTuple):
    """The mean absolute error of a version on a day, or in a window where all windows are of a few days."""

    at: datetime
    version: int
    loss: float
    rows: int
    alarm: bool


class Mark(NamedTuple):
    """Something that happened, at a time of the axis."""

    at: datetime
    kind: str
    label: str


class Line(NamedTuple):
    """Points and marks in time order; `ordinary` is the upper bound of ordinary windows by version, where known."""

    points: Sequence[Point]
    marks: Sequence[Mark]
    ordinary: Mapping[int, float]
    unit: str


class Bands:
    """The thresholds of versions, each read once."""

    def __init__(self, context: Context) -> None:
        self._context, self._known, self._away_until = context, dict[int, Thresholds](), 0.0

    def ordinary(self, number: int, window_days: float) -> float | None:
        """Return the upper bound of the mean absolute error in ordinary windows, None where it is not known."""
        thresholds = self._known.get(number)
        if thresholds is None and time.monotonic() < self._away_until:
            return None
        try:
            thresholds = thresholds or self._read(number)
        except (BundleError, NotFound):
            return None
        except RegistryUnavailable:
            # A registry that hangs would hold up each look at the page.
            self._away_until = time.monotonic() + AWAY_S
            return None
        return thresholds.for_span(window_days).errors.absolute_high if thresholds.limits else None

    def _read(self, number: int) -> Thresholds:
        version = self._context.registry.version(number)
        fetched = fetch_bundle(self._context.registry, version, self._context.model_cache)
        self._known[number] = Thresholds.from_json((fetched.directory / bundle.THRESHOLDS).read_text())
        return self._known[number]


def line_of(context: Context, bands: Bands, wall: bool = False) -> Line:
    """Return the loss of the last checks by event time, or by wall time."""
    windows = context.checks.losses(CHECKS)
    points = _points(context, windows, wall)
    checked, marks = [window.checked_at for window in windows], list[Mark]()
    for entry in reversed(context.ledger.latest(MARKS, kinds=list(MARKED))):
        before = bisect_right(checked, entry.at)
        at = entry.at if wall else windows[before - 1].event_until if before else None
        if at and points and at >= points[0].at - timedelta(days=1):
            marks.append(Mark(at, entry.kind, MARKED[entry.kind].format(entry)))
    limits: dict[int, float] = {}
    for version in sorted({point.version for point in points})[-BANDS:]:
        own = [window for window in windows if window.model_version == version]
        days = median((window.event_until - window.event_from).total_seconds() for window in own) / DAY_S
        if (limit := bands.ordinary(version, days)) is not None:
            limits[version] = limit
    return Line(points, marks, limits, context.contract.short_unit)


def _points(context: Context, windows: Sequence[WindowLoss], wall: bool) -> list[Point]:
    moments = [window.checked_at if wall else window.event_until for window in windows]
    by_day = bool(moments) and max(moments) - min(moments) > timedelta(days=3)
    grouped: dict[tuple[datetime, int], list[WindowLoss]] = {}
    for moment, window in zip(moments, windows, strict=True):
        local = moment.astimezone(context.contract.zone)
        day = local.replace(hour=12, minute=0, second=0, microsecond=0) if by_day else local
        grouped.setdefault((day, window.model_version), []).append(window)
    points = []
    for (at, version), some in sorted(grouped.items(), key=lambda item: item[0]):
        rows = sum(window.rows for window in some)
        loss = sum(window.mean * window.rows for window in some) / rows if rows else 0.0
        points.append(Point(at, version, loss, rows, any(window.alarm for window in some)))
    return points
