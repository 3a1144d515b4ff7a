"""What to do about a drift verdict. Pure: the same history always leads to the same decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from autoops.settings import Drift

Action = Literal["nothing", "watch", "open incident", "incident stands", "cool down"]


@dataclass(frozen=True)
class JudgedWindow:
    """One check that could judge; times are event times of the window it judged."""

    alarm: bool
    event_from: datetime
    event_until: datetime


@dataclass(frozen=True)
class Decision:
    """`holds_from` and `evidence_until` bound, in event time, the windows that alarmed."""

    action: Action
    reason: str
    holds_from: datetime | None = None
    evidence_until: datetime | None = None


def decide(
    windows: Sequence[JudgedWindow],
    open_incident: int | None,
    last_incident_from: datetime | None,
    drift: Drift,
    retrained_until: datetime | None = None,
) -> Decision:
    """`windows` are the champion's judged windows, newest first, the one just judged included.

    An alarm becomes an incident when it persists (k of the last m), unless one stands already or the last one began
    less than the cool-down ago. All of it in event time, so that a replay decides as production does.

    `retrained_until` is how far the months reach that the last retraining of this very champion was given, where it
    ended without a successor: from the same months comes the same model, and the same answer of the gate.
    """
    if not windows or not windows[0].alarm:
        return Decision("nothing", "the latest window is ordinary")
    recent = windows[: drift.alarms_of]
    alarmed = [window for window in recent if window.alarm]
    count = (
        f"{len(alarmed)} of the last {len(recent)} windows alarmed, {drift.alarms_needed} of {drift.alarms_of} needed"
    )
    if len(alarmed) < drift.alarms_needed:
        return Decision("watch", count)
    if open_incident is not None:
        return Decision("incident stands", f"{count}; incident {open_incident} covers it")
    now = windows[0].event_until
    if last_incident_from is not None and now < last_incident_from + timedelta(days=drift.cooldown_days):
        return Decision("cool down", f"{count}; the last incident began less than {drift.cooldown_days:g} days ago")
    if retrained_until is not None and now < retrained_until:
        return Decision("cool down", f"{count}; the last retraining, which replaced nothing, had these trips already")
    return Decision(
        "open incident",
        count,
        holds_from=min(window.event_from for window in alarmed),
        evidence_until=max(window.event_until for window in alarmed),
    )
