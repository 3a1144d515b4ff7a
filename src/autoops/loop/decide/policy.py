"""What to do about what was found. Pure: the same history always leads to the same decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from autoops.loop.decide.gate import GateVerdict
from autoops.settings import Drift

Action = Literal[
    "nothing",
    "not enough data",
    "quarantine",
    "watch",
    "open incident",
    "incident stands",
    "cool down",
    "wait for data",
    "retrain",
    "look again",
    "void",
    "roll back",
    "page",
    "frozen",
]
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class JudgedWindow:
    """One check that could judge, and the findings that alarmed; times are event times of the window it judged.
    `judged` names every finding that its detectors looked for, None stands for all: without labels nobody knows
    whether the error grew."""

    findings: frozenset[str]
    event_from: datetime
    event_until: datetime
    judged: frozenset[str] | None = None

    def looked_for(self, finding: str) -> bool:
        return self.judged is None or finding in self.judged


@dataclass(frozen=True)
class Freeze:
    """Somebody holds the wheel."""

    by: str
    why: str

    @property
    def reason(self) -> str:
        return f"frozen by {self.by}: {self.why}"


@dataclass(frozen=True)
class Decision:
    """`evidence_start` and `evidence_end` bound, in event time, the windows that alarmed."""

    action: Action
    reason: str
    evidence_start: datetime | None = None
    evidence_end: datetime | None = None


def decide(
    windows: Sequence[JudgedWindow],
    open_incident: int | None,
    last_incident_from: datetime | None,
    drift: Drift,
    retrained_until: datetime | None = None,
    rolled_back_at: datetime | None = None,
    now: datetime | None = None,
) -> Decision:
    """`windows` are the champion's judged windows, newest first, the one just judged included.

    A finding becomes an incident when it persists (k of the last m windows that looked for it), unless one stands
    already or the last one began less than the cool-down ago. Different findings, one after the other, do not persist,
    and a window that could not judge a finding counts neither for nor against it.

    `retrained_until` is how far the months reach that the last retraining of this very champion was given, where it
    ended without a successor: from the same months comes the same model, and the same answer of the gate.
    That is a rule about evidence, in event time. Cool-downs run in traffic time (`traffic_time` says which rule uses
    which): `now`, where it is known, `last_incident_from` and `rolled_back_at`.
    """
    if not windows or not windows[0].findings:
        return Decision("nothing", "the latest window is ordinary")
    finding, recent = _most_persistent(windows, drift.alarms_of)
    alarmed = [window for window in recent if finding in window.findings]
    judging = "" if recent == list(windows[: len(recent)]) else " that could judge it"
    count = (
        f"{len(alarmed)} of the last {len(recent)} windows{judging} alarmed for {finding}, {drift.alarms_needed} of "
        f"{drift.alarms_of} needed"
    )
    if len(alarmed) < drift.alarms_needed:
        return Decision("watch", count)
    if open_incident is not None:
        return Decision("incident stands", f"{count}; incident {open_incident} covers it")
    newest = windows[0].event_until
    cooling = _cooling(now or newest, last_incident_from, rolled_back_at, drift.cooldown_days)
    if cooling is None and retrained_until is not None and newest < retrained_until:
        cooling = "the last retraining, which replaced nothing, had these trips already"
    if cooling is not None:
        return Decision("cool down", f"{count}; {cooling}")
    return Decision(
        "open incident",
        count,
        evidence_start=min(window.event_from for window in alarmed),
        evidence_end=max(window.event_until for window in alarmed),
    )


def _cooling(
    now: datetime, last_incident_from: datetime | None, rolled_back_at: datetime | None, cooldown_days: float
) -> str | None:
    """What was done so lately that another incident would come too soon."""
    cooldown = timedelta(days=cooldown_days)
    if last_incident_from is not None and now < last_incident_from + cooldown:
        return f"the last incident began less than {cooldown_days:g} days ago"
    if rolled_back_at is not None and now < rolled_back_at + cooldown:
        return f"the last rollback is less than {cooldown_days:g} days ago"
    return None


def _most_persistent(windows: Sequence[JudgedWindow], count: int) -> tuple[str, list[JudgedWindow]]:
    """Return the finding of the newest window that has most alarms, with the last `count` windows that looked for
    it."""
    recent = {
        name: [window for window in windows if window.looked_for(name)][:count] for name in sorted(windows[0].findings)
    }
    return max(recent.items(), key=lambda item: sum(item[0] in window.findings for window in item[1]))


def unjudged(verdict: str, reason: str) -> Decision:
    """A check that could not judge drift: what it says of the data is the decision."""
    if verdict == "broken data":
        return Decision("quarantine", f"{reason}; broken data is kept from training, and its drift means nothing")
    return Decision("not enough data" if verdict == "not enough data" else "nothing", reason)


@dataclass(frozen=True)
class RecentActions:
    """What the loop has done by itself, in traffic time: `now`, `retrained_at` when retrainings began, `rolled_back_at`
    when the last version was rolled back."""

    now: datetime | None = None
    retrained_at: Sequence[datetime] = ()
    rolled_back_at: datetime | None = None


def next_action(
    published: bool, frozen: Freeze | None, recent_actions: RecentActions, cooldown_days: float, most_per_week: int
) -> Decision:
    """What becomes of an incident that nobody has taken up. `published` says whether what can be trained on
    contains its evidence."""
    if not published:
        return Decision("wait for data", "nothing that can be trained on contains its evidence yet")
    held = held_up(frozen, recent_actions, cooldown_days, "a retraining would begin")
    if held is not None:
        return held
    now = recent_actions.now
    week = [moment for moment in recent_actions.retrained_at if now is not None and now - WEEK < moment]
    if len(week) >= most_per_week:
        count = f"{len(week)} retraining{'' if len(week) == 1 else 's'} within a week"
        return Decision("page", f"{count}, training.most_per_week is {most_per_week}: somebody has to look into it")
    return Decision("retrain", "what can be trained on contains its evidence")


def held_up(
    frozen: Freeze | None, recent_actions: RecentActions, cooldown_days: float, otherwise: str
) -> Decision | None:
    """Why nothing is begun by itself now, None where nothing stands against it."""
    now, back = recent_actions.now, recent_actions.rolled_back_at
    if frozen is not None:
        return Decision("frozen", f"{frozen.reason}; otherwise {otherwise}")
    if now is not None and back is not None and now < back + timedelta(days=cooldown_days):
        return Decision("cool down", f"the last rollback is less than {cooldown_days:g} days ago")
    return None


def after_promotion(verdict: GateVerdict | None, look: int, most: int, frozen: Freeze | None = None) -> Decision:
    """`verdict` compares the champion, as challenger, with the version that it replaced; None where it was not time
    for another look. "nothing" ends the watch, as does the last look."""
    if verdict is None:
        return Decision("watch", "the next look is taken at twice as many rows")
    if verdict.decision == "reject":
        if frozen is not None:
            return Decision("frozen", f"{frozen.reason}; otherwise it would be rolled back: {verdict.reason}")
        return Decision("roll back", verdict.reason)
    if verdict.decision == "promote":
        return Decision("nothing", f"the promotion proved right: {verdict.reason}")
    if look >= most:
        return Decision("nothing", f"after look {look} of {most} nothing speaks for going back: {verdict.reason}")
    return Decision("watch", f"look {look} of {most}: {verdict.reason}")
