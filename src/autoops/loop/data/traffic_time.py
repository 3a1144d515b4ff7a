"""The clock that cool-downs and budgets run on: the event time of the newest trips that were predicted.

Three clocks, and each rule uses one:

- **Event time** of the trips that were judged: all that evidence says. Windows and their spans, label lag, which trips
  a training had (`retrained_until`), which months contain the evidence, and when an incident is over.
- **Traffic time**: how long the loop holds back after it acted. `drift.cooldown_days` after an incident or a rollback
  and `training.most_per_week`. It moves on with the predictions, whether labels are late or not, and a replay of a year
  in an hour cools down as production does.
- **Wall time**: operations. Deadlines, heartbeats, locks, alerts, and asking again for a retraining that did not begin.
"""

from datetime import datetime

from autoops.event_times import plausible, span_of, times_of
from autoops.loop.context import Context
from autoops.loop.data.windows import Window
from autoops.loop.records.ledger import Incident

KEY = "traffic_until"
_LOOKED_BACK = 10


def of_window(context: Context, window: Window) -> str | None:
    """Return what a check's record keeps: the traffic time at its end, that of the check before where it saw no new
    prediction."""
    times = times_of([row.event_at for row in window.logged])
    times = times[plausible(times, context.clock.now())]
    if len(times):
        return span_of(times)[1].isoformat()
    earlier = context.checks.latest()
    return earlier[0].report.get(KEY) if earlier else None


def traffic_at(context: Context, moment: datetime) -> datetime | None:
    """Return the traffic time at a moment of wall time, None before the first check. Of checks that kept none, because
    they are of an older release, what they judged stands for it."""
    newest = context.checks.latest(until=moment)
    if not newest:
        return None
    kept = newest[0].report.get(KEY)
    if kept:
        return datetime.fromisoformat(kept)
    judged = context.checks.latest(until=moment, judged=True, limit=_LOOKED_BACK)
    return max((check.event_until for check in judged if check.event_until), default=None)


def began_at(context: Context, incident: Incident) -> datetime | None:
    """Return when an incident began: as long before it was opened as its evidence is long."""
    begin, end = incident.evidence_start, incident.evidence_end
    opened = traffic_at(context, incident.opened_at)
    if begin is None or end is None or opened is None:
        return begin
    return opened - (end - begin)
