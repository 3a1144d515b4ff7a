"""The clock of cool-downs and budgets: the event time of the newest rows that were predicted.

There are three clocks, and each rule uses one:

- **Event time** of the rows that were judged: everything about evidence. Windows and their spans, label lag, which
  rows a training had (`retrained_until`), which months contain the evidence, and when an incident is over.
- **Traffic time**: how long the loop waits after it acted. `drift.cooldown_days` after an incident or a rollback, and
  `training.most_per_week`. It advances with the predictions, whether labels are late or not, and a replay of a year in
  an hour cools down as production does.
- **Wall time**: operations. Deadlines, heartbeats, locks, alerts, and repeated requests for a retraining that has not
  begun.
"""

from datetime import datetime, timedelta

from autoops.event_times import plausible, span_of, times_of
from autoops.loop.context import Context
from autoops.loop.data.windows import Window
from autoops.loop.records.ledger import Incident

KEY = "traffic_until"
_LOOKED_BACK = 10


def of_window(context: Context, window: Window) -> str | None:
    """Return the traffic time at the end of a window as ISO 8601, for the check's record.

    Without a new prediction, it is that of the check before.
    """
    times = times_of([row.event_at for row in window.logged])
    now = context.clock.now()
    times = times[plausible(times, now, context.contract.event_time.ahead)]
    if len(times):
        # Bookings of today are of days to come.
        return min(span_of(times)[1], now + timedelta(days=1)).isoformat()
    earlier = context.checks.latest()
    return earlier[0].report.get(KEY) if earlier else None


def traffic_at(context: Context, moment: datetime) -> datetime | None:
    """Return the traffic time at a moment of wall time; None before the first check.

    Checks of an older release recorded none: the newest event time that they judged is used instead.
    """
    newest = context.checks.latest(until=moment)
    if not newest:
        return None
    kept = newest[0].report.get(KEY)
    if kept:
        return datetime.fromisoformat(kept)
    judged = context.checks.latest(until=moment, judged=True, limit=_LOOKED_BACK)
    # Of several checks, because the newest may have judged late labels of old rows alone.
    return max((check.event_until for check in judged if check.event_until), default=None)


def began_at(context: Context, incident: Incident) -> datetime | None:
    """Return when an incident began, in traffic time: as long before its opening as its evidence is long.

    Without a traffic time at its opening, it is the event time at which the evidence begins.
    """
    begin, end = incident.evidence_start, incident.evidence_end
    opened = traffic_at(context, incident.opened_at)
    if begin is None or end is None or opened is None:
        return begin
    return opened - (end - begin)
