"""Maturity: labels count once their rows are `target.matures_after_days` old, by the event time of the data.

Labels of one kind may come first: of the newest bookings those with a label are nearly all cancelled. Age is measured
on the clock of the data, which is the newest event time that was seen but never later than now, so that a replay of
old months waits as production does.
"""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from autoops.event_times import newest_of, plausible, times_of
from autoops.loop.context import Context
from autoops.months import Month
from autoops.storage import tables
from autoops.storage.database import storage_errors
from autoops.storage.predictions import LIVE
from autoops.usecase.columns import EVENT_AT

NEWEST_ROWS = 1_000
"""Newest live predictions whose event times set the clock; strays among them do not."""

NEVER = datetime.min


def live_until(context: Context) -> datetime | None:
    """Return the event time up to which labels of live traffic count; None where labels of any age count.

    Before the first prediction no label counts, and it is the first moment of all.
    """
    after = context.contract.target.matures_after
    if after is None:
        return None
    made, now = tables.predictions.c, context.clock.now()
    query = sa.select(made.event_at).where(made.source == LIVE).order_by(made.id.desc()).limit(NEWEST_ROWS)
    with storage_errors(), context.log.engine.connect() as connection:
        times = times_of(list(connection.scalars(query)))
    newest = newest_of(times[plausible(times, now, context.contract.event_time.ahead)])
    return min(newest, now) - after if newest else NEVER.replace(tzinfo=now.tzinfo)


def published_until(context: Context) -> datetime | None:
    """Return the event time up to which targets of published months count; None where targets of any age count."""
    after, zone = context.contract.target.matures_after, context.contract.zone
    if after is None:
        return None
    ends = [month.ends_in(zone) for month in context.source.published()[-1:]]
    return min([*ends, context.clock.now()]) - after


def begun(context: Context, months: Sequence[Month]) -> list[Month]:
    """Return the published months of which rows may count."""
    until = published_until(context)
    return [month for month in months if until is None or month.starts_in(context.contract.zone) <= until]


def whole(context: Context, months: Sequence[Month]) -> list[Month]:
    """Return the published months of which all rows count."""
    until = published_until(context)
    return [month for month in months if until is None or month.ends_in(context.contract.zone) <= until]


def mature(rows: pd.DataFrame, until: datetime | None) -> pd.DataFrame:
    """Return the rows of published months that count, those up to `until`; others count once they are old enough."""
    return rows if until is None else rows[rows[EVENT_AT] <= until].reset_index(drop=True)
