"""Published months as windows: the champion predicts their rows, and a check judges them without live traffic.

A month of broken data says nothing about the model. It is recorded as a check with that verdict, and skipped.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from autoops.drift.distances import evenly
from autoops.loop.context import Context
from autoops.loop.data import validation
from autoops.loop.data.cursor import Cursor, cursor_of
from autoops.loop.data.maturity import begun, mature, published_until
from autoops.loop.data.scored_months import predicted
from autoops.loop.data.sub_windows import Attempt, Span, moment_of, unjudged
from autoops.loop.data.validation import MonthQuarantine
from autoops.loop.data.windows import Window
from autoops.loop.decide import policy
from autoops.loop.records.checks import ACTOR, BROKEN, JUDGED, Check
from autoops.loop.records.ledger import PAGE
from autoops.models.registry import ModelVersion
from autoops.months import Month
from autoops.storage.predictions import LabelledPrediction
from autoops.usecase.columns import columns_of

logger = logging.getLogger(__name__)

NO_MONTH = "no new month"


def published_windows(context: Context, champion: ModelVersion, watermark: datetime, size: int) -> Iterator[Window]:
    """Yield the windows of up to `size` rows that no check of this version has judged, in order of time.

    If there are none, yield one empty window. `watermark` is the event time of the newest row that the version knows
    from its training. Windows from an earlier tenure of the version stay judged: after a rollback to it they are not
    judged again.
    """
    cursor = cursor_of(context, champion)
    windows = _windows(context, champion, watermark, size, cursor)
    yield next(windows, Window(NO_MONTH, [], [], cursor, cursor))
    yield from windows


def _windows(
    context: Context, champion: ModelVersion, watermark: datetime, size: int, cursor: Cursor
) -> Iterator[Window]:
    # Read once: the windows of a month are chosen before the first of them is judged.
    checks = context.checks.latest(champion.number, limit=None)
    judge = validation.Judge(context)
    # Once: to ask which months are published takes requests where the source is a URL.
    until = published_until(context)
    for month in begun(context, context.source.published()):
        if month < Month.of(watermark, context.contract.zone):
            continue
        quarantine = judge.ingest(month, ACTOR)
        if quarantine:
            _note(context, champion, quarantine, checks, cursor)
            continue
        frame = mature(context.store.load([month]), until)
        spans = unjudged(
            columns_of(frame)["event_at"], watermark, _attempts(checks, month, context.contract.zone), size
        )
        chosen = [_chosen(frame, span, size) for span in spans]
        # Scoring writes to the log, and is left out where no window is left to judge.
        rows = _rows_at(set(chain.from_iterable(chosen)), context, champion, month, frame) if spans else {}
        for span, positions in zip(spans, chosen, strict=True):
            yield _window(context, month, span, [rows[position] for position in positions], cursor)


def _note(
    context: Context, champion: ModelVersion, quarantine: MonthQuarantine, checks: Sequence[Check], cursor: Cursor
) -> None:
    """Page a person and record a check of broken data, once per version and content of the month.

    The check has no alarm: the data is wrong, not the model. The page is written first, because the record keeps it
    from being written again, and what follows in this check may fail.
    """
    month, content = quarantine.month, quarantine.content
    if any(check.verdict == BROKEN and check.report.get("content") == content for check in checks):
        return
    reason = f"{month} is quarantined: {quarantine.reason}"
    logger.warning("%s", reason)
    told, repeats = policy.unjudged(BROKEN, reason).reason, {"repeats": validation.QUARANTINED}
    context.ledger.record(PAGE, told, actor=ACTOR, model_version=champion.number, evidence=repeats)
    context.checks.append(
        model_version=champion.number,
        verdict=BROKEN,
        alarm=False,
        reason=reason,
        event_from=month.starts_in(context.contract.zone),
        event_until=month.ends_in(context.contract.zone),
        last_prediction_id=cursor.prediction_id,
        last_label_id=cursor.label_id,
        report={"source": str(month), "content": content, "findings": list(quarantine.findings)},
    )


def _attempts(checks: Sequence[Check], month: Month, zone: ZoneInfo) -> list[Attempt]:
    return [_attempt(check, month, zone) for check in checks if check.report.get("source") == str(month)]


def _attempt(check: Check, month: Month, zone: ZoneInfo) -> Attempt:
    """Return the span that a check was given; a record of an older release has none and stands for the whole month."""
    kept = check.report.get("span")
    if kept is None:
        return Attempt(Span(month.starts_in(zone), month.ends_in(zone), 0), check.verdict in JUDGED)
    span = Span(datetime.fromisoformat(kept["begin"]), datetime.fromisoformat(kept["end"]), kept["rows"])
    return Attempt(span, check.verdict in JUDGED)


def _chosen(frame: pd.DataFrame, span: Span, size: int) -> list[int]:
    """Return the positions of up to `size` rows, spread evenly over the span."""
    moments = columns_of(frame)["event_at"]
    first, end = np.searchsorted(moments, [moment_of(span.begin), moment_of(span.end)])
    return [int(first) + position for position in evenly(int(end - first), min(size, int(end - first)))]


def _rows_at(
    positions: set[int], context: Context, champion: ModelVersion, month: Month, frame: pd.DataFrame
) -> dict[int, LabelledPrediction]:
    """Predict all rows of the month and keep those at `positions`, so that memory does not grow with the month."""
    rows = enumerate(predicted(context, champion, month, frame))
    return {position: row for position, row in rows if position in positions}


def _window(context: Context, month: Month, span: Span, rows: Sequence[LabelledPrediction], cursor: Cursor) -> Window:
    return Window(
        str(month), [row.logged for row in rows], rows, cursor, cursor, span, days=_days(span, context.contract.zone)
    )


def _days(span: Span, zone: ZoneInfo) -> str:
    """Return the first and last day of the span in the zone."""
    first, last = span.begin.astimezone(zone), (span.end - timedelta(microseconds=1)).astimezone(zone)
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
