"""Labelled live traffic, as rows to train on and to compare versions on.

The cleaning rules of published months apply to it too, and rows that are broken data are left out.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.event_times import aware, near, newest_of, plausible, strays_in, times_of
from autoops.loop.context import Context
from autoops.loop.data.excluded_windows import BrokenRows, broken_rows
from autoops.loop.data.maturity import live_until
from autoops.loop.data.windows import labelled_frame_of
from autoops.months import Month
from autoops.storage.predictions import LIVE
from autoops.usecase import declaration
from autoops.usecase.columns import EVENT_AT, TARGET

DIGEST_CHARACTERS = 16
_AT_ONCE = 20_000
"""Rows that are held as Python objects at a time."""

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

_Labels = npt.NDArray[np.void]
"""One record per label: its id, a hash of its prediction's id, the row's event time, and whether it is usable.

Numbers, because a log may have millions of labels, and each check reads them while an incident waits for labels.
"""


def logged_months(context: Context) -> list[Month]:
    """Return the months in which usable labelled rows lie, in order; the newest is probably not over.

    Months with only a few rows are left out as strays.
    """
    times, zone = _usable_times(context), context.contract.zone
    rows: Counter[Month] = Counter()
    # By hour first, so that hours and not all labels are converted to local time.
    for hour, count in zip(*np.unique(times.astype("datetime64[h]"), return_counts=True), strict=True):
        rows[Month.of(aware(hour), zone)] += int(count)
    return sorted(month for month, count in rows.items() if count > strays_in(len(times)))


def labelled_until(context: Context) -> datetime | None:
    """Return the newest event time of usable labelled rows, without strays; None if there are none."""
    return newest_of(_usable_times(context))


def rows_of(context: Context, months: Sequence[Month]) -> pd.DataFrame:
    """Return the labelled rows of these months in event order, each with its latest label.

    The frame has the event time, the contract's inputs and the target. The same log gives the same frame.
    """
    frame = _frame_of(context, _newest_labels(context, months))
    contract = context.contract
    frame = frame[contract.target.contains(frame[TARGET].to_numpy())]
    for name, feature in contract.features.items():
        if feature.bounded:
            values = frame[name].to_numpy()
            frame = frame[feature.contains(values) | (np.isnan(values) & feature.nullable)]
    return frame[[EVENT_AT, *contract.inputs, TARGET]].reset_index(drop=True)


def _newest_labels(context: Context, months: Sequence[Month]) -> npt.NDArray[np.int64]:
    """Return the ids of the labels that count for rows of these months, ascending; shape (labels,)."""
    labels = _labels(context)
    newest = np.zeros(len(labels), dtype=bool)
    # np.unique returns first occurrences: in reverse order, the newest label of each prediction.
    _, from_the_end = np.unique(labels["prediction"][::-1], return_index=True)
    newest[len(labels) - 1 - from_the_end] = True
    wanted = np.zeros(len(labels), dtype=bool)
    zone = context.contract.zone
    for month in months:
        begins_at, ends_at = (
            np.datetime64(at.replace(tzinfo=None)) for at in (month.starts_in(zone), month.ends_in(zone))
        )
        wanted |= (labels["at"] >= begins_at) & (labels["at"] < ends_at)
    return np.asarray(labels["label"][newest & labels["usable"] & wanted], np.int64)


def _frame_of(context: Context, label_ids: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return the rows with these labels in event order, rows of one time with the newest label first.

    `label_ids` are ascending. The frame has the columns of `frame_of` and the target.
    """
    # Rows of another declaration have other columns; rows without an id are older than declarations.
    own, old = context.contract.inputs_id, declaration.load(declaration.DEFAULT).inputs_id
    known = {own, None} if own == old else {own}
    rows, frames = context.log.labelled(LIVE), [labelled_frame_of(context.contract, [])]
    while some := list(islice(rows, _AT_ONCE)):
        ids = np.array([row.label_id for row in some])
        # Membership in a sorted array: a set of millions of ids would hold an object for each.
        counts = np.searchsorted(label_ids, ids, "right") > np.searchsorted(label_ids, ids, "left")
        counted = [row for row, wanted in zip(some, counts, strict=True) if wanted and row.logged.contract in known]
        frames.append(labelled_frame_of(context.contract, counted))
    # The empty first frame gives the columns and their types where no label is wanted.
    return pd.concat(frames[1:] or frames).sort_values("event_at", kind="stable")


def digest_of(frame: pd.DataFrame) -> str:
    """Return the first `DIGEST_CHARACTERS` hex digits of a SHA-256 over the rows in order, without the index."""
    content = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]


def _usable_times(context: Context) -> npt.NDArray[np.datetime64]:
    """Return the event times of rows with usable labels, of all months: datetime64[us] in UTC, shape (labels,)."""
    labels = _labels(context)
    return np.asarray(labels["at"][labels["usable"]], "datetime64[us]")


def _labels(context: Context) -> _Labels:
    """Return all labels of live traffic, ordered by id, which is the order in which they were stored."""
    fields = [("label", np.int64), ("prediction", np.int64), ("at", "datetime64[us]"), ("usable", np.bool_)]
    found = np.fromiter(_moments(context), dtype=fields)
    # By label id, because `near` compares rows with those that arrived with them.
    found = found[np.argsort(found["label"], kind="stable")]
    # A view: writing to it below changes `found`.
    sound = found["usable"]
    times = found["at"][sound]
    sound[sound] = near(times) & plausible(times, context.clock.now(), context.contract.event_time.ahead)
    until = live_until(context)
    if until is not None:
        sound &= found["at"] <= times_of([until])[0]
    return found


def _moments(context: Context) -> Iterator[tuple[int, int, int, bool]]:
    """Yield label id, hash of the prediction's id, event time in microseconds, and whether the row is sound."""
    broken: dict[int, BrokenRows] = {}
    # Of the log and not of the registry's versions: what a deleted version was asked and what came of it is as true.
    for version, prediction_id, label_id, moment in context.log.labelled_moments(LIVE):
        if version not in broken:
            broken[version] = broken_rows(context, version)
        sound = not broken[version].contains(prediction_id, label_id, moment)
        # Compared within this process alone: another process hashes texts differently.
        yield label_id, hash(prediction_id), (moment - _EPOCH) // _MICROSECOND, sound
