"""Published months as windows: what the champion would have said to their trips, judged without live traffic."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

from autoops.drift.distances import evenly
from autoops.errors import DataError, EmptyMonth
from autoops.loop.checks import JUDGED, Check
from autoops.loop.pipeline import Pipeline
from autoops.loop.scored_months import predicted
from autoops.loop.thirds import Attempt, Span, unjudged
from autoops.loop.windows import Ends, Window, ends_of
from autoops.months import Month
from autoops.predictions import LabelledPrediction
from autoops.registry import ModelVersion
from autoops.trips import columns_of

logger = logging.getLogger(__name__)

NO_MONTH = "no new month"
ALL_CHECKS = 1_000_000


def published_windows(pipeline: Pipeline, champion: ModelVersion, seen_until: datetime, size: int) -> Iterator[Window]:
    """The windows of `size` trips that no check of this version has judged, in order of time; an empty one where
    there are none. `seen_until` is the event time of the newest trip that the version knows from its training.

    What a version was judged on in an earlier reign stays judged: whoever rolls back to it knows that already.
    """
    ends = ends_of(pipeline, champion)
    windows = _windows(pipeline, champion, seen_until, size, ends)
    yield next(windows, Window(NO_MONTH, [], [], ends, ends))
    yield from windows


def _windows(
    pipeline: Pipeline, champion: ModelVersion, seen_until: datetime, size: int, ends: Ends
) -> Iterator[Window]:
    checks = pipeline.checks.latest(champion.number, limit=ALL_CHECKS)
    for month in pipeline.source.published():
        if month < Month.of(seen_until) or not _ingested(pipeline, month):
            continue
        trips = pipeline.store.load([month])
        spans = unjudged(columns_of(trips)["pickup_at"], seen_until, _attempts(checks, month), size)
        rows = predicted(pipeline, champion, month, trips) if spans else []
        for span in spans:
            yield _window(month, span, rows, size, ends)


def _ingested(pipeline: Pipeline, month: Month) -> bool:
    """Whether there are trips of the month to judge. An empty one must not keep later ones waiting, and one that is
    here stays as it is while its republication cannot be read."""
    try:
        pipeline.store.ingest(pipeline.source, month)
    except DataError as error:
        here = pipeline.store.get(month) is not None
        if not here and not isinstance(error, EmptyMonth):
            raise
        logger.warning("%s %s: %s", month, "stays as it was ingested" if here else "is not judged", error)
        return here
    return True


def _attempts(checks: Sequence[Check], month: Month) -> list[Attempt]:
    return [_attempt(check, month) for check in checks if check.report.get("source") == str(month)]


def _attempt(check: Check, month: Month) -> Attempt:
    """A check from before months were judged in parts was given all of it."""
    kept = check.report.get("span")
    if kept is None:
        return Attempt(Span(month.starts_at, month.ends_at, 0), check.verdict in JUDGED)
    span = Span(datetime.fromisoformat(kept["begin"]), datetime.fromisoformat(kept["end"]), kept["rows"])
    return Attempt(span, check.verdict in JUDGED)


def _window(month: Month, span: Span, rows: Sequence[LabelledPrediction], size: int, ends: Ends) -> Window:
    inside = [row for row in rows if span.begin <= row.logged.event_at < span.end]
    chosen = [inside[position] for position in evenly(len(inside), min(size, len(inside)))]
    return Window(str(month), [row.logged for row in chosen], chosen, ends, ends, span)
