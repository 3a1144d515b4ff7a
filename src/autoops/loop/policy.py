"""What to do about what was found. Pure: the same history always leads to the same decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from autoops.loop.gate import GateVerdict
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
    """One check that could judge, and the findings that alarmed; times are event times of the window it judged."""

    findings: frozenset[str]
    event_from: datetime
    event_until: datetime


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
    rolled_back_at: datetime | None = None,
) -> Decision:
    """`windows` are the champion's judged windows, newest first, the one just judged included.

    A finding becomes an incident when it persists (k of the last m), unless one stands already or the last one began
    less than the cool-down ago. Different findings, one after the other, do not persist. All of it in event time, so
    that a replay decides as production does.

    `retrained_until` is how far the months reach that the last retraining of this very champion was given, where it
    ended without a successor: from the same months comes the same model, and the same answer of the gate.
    `rolled_back_at` is the event time up to which the last version was regretted.
    """
    if not windows or not windows[0].findings:
        return Decision("nothing", "the latest window is ordinary")
    recent = windows[: drift.alarms_of]
    finding, alarmed = _most_persistent(recent)
    count = (
        f"{len(alarmed)} of the last {len(recent)} windows alarmed for {finding}, {drift.alarms_needed} of "
        f"{drift.alarms_of} needed"
    )
    if len(alarmed) < drift.alarms_needed:
        return Decision("watch", count)
    if open_incident is not None:
        return Decision("incident stands", f"{count}; incident {open_incident} covers it")
    cooling = _cooling(windows[0].event_until, last_incident_from, rolled_back_at, retrained_until, drift.cooldown_days)
    if cooling is not None:
        return Decision("cool down", f"{count}; {cooling}")
    return Decision(
        "open incident",
        count,
        holds_from=min(window.event_from for window in alarmed),
        evidence_until=max(window.event_until for window in alarmed),
    )


def _cooling(
    now: datetime,
    last_incident_from: datetime | None,
    rolled_back_at: datetime | None,
    retrained_until: datetime | None,
    cooldown_days: float,
) -> str | None:
    """What was done so lately that another incident would come too soon."""
    cooldown = timedelta(days=cooldown_days)
    if last_incident_from is not None and now < last_incident_from + cooldown:
        return f"the last incident began less than {cooldown_days:g} days ago"
    if rolled_back_at is not None and now < rolled_back_at + cooldown:
        return f"the last rollback is less than {cooldown_days:g} days ago"
    if retrained_until is not None and now < retrained_until:
        return "the last retraining, which replaced nothing, had these trips already"
    return None


def _most_persistent(recent: Sequence[JudgedWindow]) -> tuple[str, list[JudgedWindow]]:
    """Of the findings of the newest window the one with most alarms, and the windows that have it."""
    alarmed = {name: [each for each in recent if name in each.findings] for name in sorted(recent[0].findings)}
    return max(alarmed.items(), key=lambda item: len(item[1]))


def unjudged(verdict: str, reason: str) -> Decision:
    """A check that could not judge drift: what it says of the data is the decision."""
    if verdict == "broken data":
        return Decision("quarantine", f"{reason}; broken data is kept from training, and its drift means nothing")
    return Decision("not enough data" if verdict == "not enough data" else "nothing", reason)


@dataclass(frozen=True)
class Lately:
    """What the loop has done by itself, in event time: `now` is that of the newest trips that were judged,
    `retrained_at` that of the incidents for which a retraining began, `rolled_back_at` that of the last regret."""

    now: datetime | None = None
    retrained_at: Sequence[datetime] = ()
    rolled_back_at: datetime | None = None


def remedy(
    published: bool, frozen: Freeze | None, lately: Lately, cooldown_days: float, most_per_week: int
) -> Decision:
    """What becomes of an incident that nobody has taken up. `published` says whether what can be trained on
    contains its evidence."""
    if not published:
        return Decision("wait for data", "nothing that can be trained on contains its evidence yet")
    held = held_up(frozen, lately, cooldown_days, "a retraining would begin")
    if held is not None:
        return held
    now = lately.now
    week = [moment for moment in lately.retrained_at if now is not None and now - WEEK < moment]
    if len(week) >= most_per_week:
        count = f"{len(week)} retraining{'' if len(week) == 1 else 's'} within a week"
        return Decision("page", f"{count}, training.most_per_week is {most_per_week}: somebody has to look into it")
    return Decision("retrain", "what can be trained on contains its evidence")


def held_up(frozen: Freeze | None, lately: Lately, cooldown_days: float, otherwise: str) -> Decision | None:
    """Why nothing is begun by itself now, None where nothing stands against it."""
    now, back = lately.now, lately.rolled_back_at
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
