"""A window of logged predictions: what one check judges.

For live traffic it holds the newest predictions and labels of the champion's tenure that no window has consumed. Loss
is measured on labels within the training contract. A label outside it, such as an impossible one, is kept and
counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NotRequired, TypedDict

import numpy as np
import pandas as pd

from autoops.event_times import is_plausible, near, times_of
from autoops.loop.context import Context
from autoops.loop.data.cursor import Cursor, cursor_of, promoted_at
from autoops.loop.data.maturity import live_until
from autoops.loop.data.sub_windows import Span
from autoops.models.registry import ModelVersion
from autoops.storage.predictions import LIVE, LabelledPrediction, LoggedPrediction, LogSelection
from autoops.usecase.columns import EVENT_AT, PREDICTION, TARGET
from autoops.usecase.contract import Contract
from autoops.usecase.rows import columns_from

STRAGGLERS = timedelta(days=1)
"""A label may be stored before its prediction, which waits in another outbox; after this time checks skip it."""


class SpanRecord(TypedDict):
    """A span of event time as JSON."""

    begin: str
    end: str
    rows: int


class WindowRecord(TypedDict):
    """A window as JSON: live traffic has `strays` (and `matured_until`, where labels mature), a published month a
    `span`."""

    source: str
    strays: NotRequired[int]
    matured_until: NotRequired[str]
    span: NotRequired[SpanRecord]


@dataclass(frozen=True)
class Window:
    """Rows that no window has consumed before.

    `labelled` rows are within the training contract, `outside` rows arrived with them and are not. `cursor` is that of
    live traffic before the window; `next_cursor` is stored once the window is judged, `cursor_if_broken` if it is
    broken data. A window of a published month has a `span` and does not move the cursor of live traffic; `days`
    are the first and last day of the span, for people. Where labels of live traffic count from an age on,
    `matured_until` is the event time up to which they did. `ahead` is how long after its prediction an event may be.
    """

    source: str
    logged: Sequence[LoggedPrediction]
    labelled: Sequence[LabelledPrediction]
    cursor: Cursor
    next_cursor: Cursor
    span: Span | None = None
    outside: Sequence[LabelledPrediction] = ()
    cursor_if_broken: Cursor | None = None
    days: str | None = None
    matured_until: datetime | None = None
    ahead: timedelta = timedelta(days=1)

    @property
    def with_any_label(self) -> Sequence[LabelledPrediction]:
        """Return all labelled rows, in the order in which their labels were stored.

        Where labels mature, early ones are of one kind: rows are in the order of their predictions then.
        """
        rows = (*self.labelled, *self.outside)
        if self.matured_until is not None:
            return sorted(rows, key=lambda row: row.logged.id)
        return sorted(rows, key=lambda row: row.label_id)

    @property
    def strays(self) -> int:
        """Count the rows whose event time is implausible, or far from that of the rows that arrived with them.

        They are judged like the others, but do not decide the window's span.
        """
        found: set[str] = set()
        for rows in (self.logged, [row.logged for row in self.labelled]):
            close = near(times_of([row.event_at for row in rows]))
            pairs = zip(rows, close.tolist(), strict=True)
            found |= {
                row.id for row, ok in pairs if not (ok and is_plausible(row.event_at, row.predicted_at, self.ahead))
            }
        return len(found)

    def to_json(self) -> WindowRecord:
        """Return the window as JSON for the check's record; `published_windows` reads it back."""
        if self.span is None:
            live: WindowRecord = {"source": self.source, "strays": self.strays}
            return live if self.matured_until is None else live | {"matured_until": self.matured_until.isoformat()}
        begin, end = self.span.begin.isoformat(), self.span.end.isoformat()
        return {"source": self.source, "span": {"begin": begin, "end": end, "rows": self.span.rows}}


def frame_of(contract: Contract, rows: Sequence[LoggedPrediction]) -> pd.DataFrame:
    """Return logged predictions in event order, as a frame with event time, features and prediction."""
    ordered = sorted(rows, key=lambda row: row.event_at)
    event_at = times_of([row.event_at for row in ordered])
    columns = columns_from(contract, event_at, [row.inputs for row in ordered])
    moments = pd.to_datetime(event_at, utc=True).as_unit("us")
    predictions = np.array([row.prediction for row in ordered], dtype=np.float64)
    return pd.DataFrame(
        {EVENT_AT: moments} | {name: columns[name] for name in contract.inputs} | {PREDICTION: predictions}
    )


def labelled_frame_of(contract: Contract, rows: Sequence[LabelledPrediction]) -> pd.DataFrame:
    """Return the same frame of labelled predictions, with the ground truth as the target."""
    ordered = sorted(rows, key=lambda row: row.logged.event_at)
    # `frame_of` sorts again, and as stably, so that truths stay beside their rows.
    truth = np.array([row.target for row in ordered], dtype=np.float64)
    # Without rows the column would be of type object.
    return frame_of(contract, [row.logged for row in ordered]).assign(**{TARGET: truth})


def live_window(context: Context, champion: ModelVersion, size: int) -> Window:
    """Return a window of the last `size` predictions and the last `size` labels within the training contract.

    Where there are fewer of either, they are left for a later window to consume.
    """
    cursor = _begin(context, champion)
    scope = LogSelection(champion.number, LIVE, promoted_at(champion))
    logged = context.log.latest(scope, size, cursor.prediction_id)
    until = live_until(context)
    if until is not None:
        return _matured_window(context, scope, size, cursor, logged, until)
    # Twice the size, so that labels outside the contract do not keep a window from filling.
    found = context.log.latest_labelled(scope, 2 * size, cursor.label_id)
    if len(found) < size:
        # Stored with this check even if it judges nothing, so that the next one begins there.
        cursor = cursor._replace(label_id=_passed_over(context, cursor.label_id, found))
    labelled, outside = _by_contract(context.contract, found, size)
    newest = max((row.label_id for row in (*labelled, *outside)), default=cursor.label_id)
    prediction_id = max(row.id for row in logged) if len(logged) >= size else cursor.prediction_id
    # Data quality is judged on labels outside the contract, too: such a window fills earlier.
    if_judged, if_broken = (
        Cursor(prediction_id, newest if rows >= size else cursor.label_id)
        for rows in (len(labelled), len(labelled) + len(outside))
    )
    ahead = context.contract.event_time.ahead
    return Window(LIVE, logged, labelled, cursor, if_judged, outside=outside, cursor_if_broken=if_broken, ahead=ahead)


def _matured_window(
    context: Context,
    scope: LogSelection,
    size: int,
    cursor: Cursor,
    logged: Sequence[LoggedPrediction],
    until: datetime,
) -> Window:
    """Return a window whose labels are those of rows that have matured since the last one, and not of later rows."""
    found = context.log.matured(scope, 2 * size, cursor.matured_until, until)
    labelled, outside = _by_contract(context.contract, found, size)
    prediction_id = max(row.id for row in logged) if len(logged) >= size else cursor.prediction_id
    if_judged, if_broken = (
        Cursor(prediction_id, matured_until=until if rows >= size else cursor.matured_until)
        for rows in (len(labelled), len(labelled) + len(outside))
    )
    return Window(
        LIVE,
        logged,
        labelled,
        cursor,
        if_judged,
        outside=outside,
        cursor_if_broken=if_broken,
        matured_until=until,
        ahead=context.contract.event_time.ahead,
    )


def _by_contract(
    contract: Contract, rows: Sequence[LabelledPrediction], size: int
) -> tuple[list[LabelledPrediction], list[LabelledPrediction]]:
    """Return the last `size` rows within the contract, and the others that came with them; `rows` are in order
    of arrival."""
    within = contract.target.contains(np.array([row.target for row in rows], dtype=np.float64))
    kept = np.flatnonzero(within)[-size:]
    first = int(kept[0]) if len(kept) == size else max(0, len(rows) - size)
    outside = [rows[position] for position in np.flatnonzero(~within).tolist() if position >= first]
    return [rows[position] for position in kept.tolist()], outside


def _begin(context: Context, champion: ModelVersion) -> Cursor:
    """Return the cursor of the last check; the first of a tenure begins with labels stored since the promotion."""
    cursor, since = cursor_of(context, champion), promoted_at(champion)
    if cursor.label_id is None and since is not None:
        return cursor._replace(label_id=context.log.label_before(since))
    return cursor


def _passed_over(context: Context, after: int | None, labelled: Sequence[LabelledPrediction]) -> int | None:
    """Return the label id after which the next check continues.

    Labels of other versions' predictions arrive for weeks after a promotion, and each check would read all of them
    again.
    """
    recent = context.log.label_before(context.clock.now() - STRAGGLERS)
    first = min((row.label_id for row in labelled), default=recent + 1)
    return max(after or 0, min(recent, first - 1)) or after
