"""The policy: what to do about a verdict. Pure: the same history always leads to the same decision."""

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
    "re-evaluate",
    "void",
    "roll back",
    "page",
    "frozen",
]
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class JudgedWindow:
    """A check that could judge drift: its alarm types (`findings`), and the event times of its window.

    `judged` names every alarm type that its detectors looked for, None stands for all. Without labels, for example, the
    check cannot tell whether the error grew.
    """

    findings: frozenset[str]
    event_from: datetime
    event_until: datetime
    judged: frozenset[str] | None = None

    def looked_for(self, finding: str) -> bool:
        """Return whether the check could judge this alarm type."""
        return self.judged is None or finding in self.judged


@dataclass(frozen=True)
class Freeze:
    """Who froze the loop, and why."""

    by: str
    why: str

    @property
    def reason(self) -> str:
        """Return who froze the loop and why, as the reason of a decision."""
        return f"frozen by {self.by}: {self.why}"


@dataclass(frozen=True)
class Decision:
    """What to do and why; `evidence_start` and `evidence_end` bound, in event time, the windows that alarmed."""

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
    rows: str = "rows",
) -> Decision:
    """Decide what to do about the newest of the champion's judged windows.

    `windows` are newest first. An alarm type becomes an incident when it persists (k of the last m windows that looked
    for it), unless an incident is open already, or the last one began or the last rollback happened less than the
    cool-down ago. Different alarm types, one after the other, do not persist. A window that could not judge an alarm
    type counts neither for nor against it.

    `retrained_until` is the end of the training data of this champion's last retraining that promoted nothing: the same
    months give the same model, and the same verdict of the gate. This rule is about evidence and uses event time.
    Cool-downs run in traffic time (`traffic_time` says which rule uses which): `last_incident_from`, `rolled_back_at`
    and, where it is known, `now`. `rows` is the noun for rows.
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
        cooling = f"the last retraining, which replaced nothing, had these {rows} already"
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
    """Return which recent action another incident would follow too soon; None if there is none."""
    cooldown = timedelta(days=cooldown_days)
    if last_incident_from is not None and now < last_incident_from + cooldown:
        return f"the last incident began less than {cooldown_days:g} days ago"
    if rolled_back_at is not None and now < rolled_back_at + cooldown:
        return f"the last rollback is less than {cooldown_days:g} days ago"
    return None


def _most_persistent(windows: Sequence[JudgedWindow], count: int) -> tuple[str, list[JudgedWindow]]:
    """Return the newest window's alarm type with the most alarms, and the last `count` windows that looked for it."""
    # Sorted, because the order of a set of texts differs between processes, and must not decide
    # between alarm types with as many alarms.
    recent = {
        name: [window for window in windows if window.looked_for(name)][:count] for name in sorted(windows[0].findings)
    }
    return max(recent.items(), key=lambda item: sum(item[0] in window.findings for window in item[1]))


def unjudged(verdict: str, reason: str) -> Decision:
    """Return the decision on a check that could not judge drift, which follows from its verdict on the data."""
    if verdict == "broken data":
        return Decision("quarantine", f"{reason}; broken data is kept from training, and its drift means nothing")
    return Decision("not enough data" if verdict == "not enough data" else "nothing", reason)


@dataclass(frozen=True)
class RecentActions:
    """What the loop has done without a person, in traffic time.

    `now` is the current traffic time, `retrained_at` are the starts of retrainings, and `rolled_back_at` is the last
    rollback.
    """

    now: datetime | None = None
    retrained_at: Sequence[datetime] = ()
    rolled_back_at: datetime | None = None


def next_action(
    published: bool, frozen: Freeze | None, recent_actions: RecentActions, cooldown_days: float, most_per_week: int
) -> Decision:
    """Decide what to do about an incident that no run has claimed.

    `published` says whether the data that can be trained on contains its evidence.
    """
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
    """Return why the loop starts nothing without a person now; None if nothing prevents it.

    `otherwise` says in the reason what the loop would do without a freeze.
    """
    now, back = recent_actions.now, recent_actions.rolled_back_at
    if frozen is not None:
        return Decision("frozen", f"{frozen.reason}; otherwise {otherwise}")
    if now is not None and back is not None and now < back + timedelta(days=cooldown_days):
        return Decision("cool down", f"the last rollback is less than {cooldown_days:g} days ago")
    return None


def after_promotion(verdict: GateVerdict | None, look: int, most: int, frozen: Freeze | None = None) -> Decision:
    """Decide after an evaluation of the post-promotion check.

    `verdict` compares the champion, as challenger, with the version that it replaced; None where it was not time for
    another evaluation. The decision "nothing" ends the check; the last evaluation gives it, unless it calls for a
    rollback.
    """
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
