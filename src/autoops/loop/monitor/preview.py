"""What the loop would do now, and why: the check's own code up to the point where it would write."""

from typing import TypedDict

from autoops.loop.context import Context
from autoops.loop.data.windows import live_window
from autoops.loop.incidents.freeze import frozen
from autoops.loop.incidents.judged_windows import earlier_errors
from autoops.loop.incidents.response import decision_on
from autoops.loop.monitor.actions import calendar, planned_actions
from autoops.loop.monitor.drift_check import Monitored, judge_window
from autoops.loop.promote import post_promotion
from autoops.loop.records.checks import BROKEN, JUDGED
from autoops.models.registry import CHAMPION
from autoops.months import Month


class Seen(TypedDict):
    """What a check would find now, and decide about it."""

    verdict: str
    reason: str
    decision: str
    because: str


class IncidentAction(TypedDict):
    """What the loop would do about an open incident."""

    incident_id: int
    action: str
    because: str


class CalendarAction(TypedDict):
    """The decision on opening an incident without an alarm."""

    kind: str
    action: str
    because: str


class Preview(Seen):
    """What the loop would do now; `frozen` says who froze it and why, None where it is not frozen."""

    frozen: str | None
    incidents: list[IncidentAction]
    calendar: list[CalendarAction]


def preview(context: Context) -> Preview:
    """Return what a check would find and decide now; write no check, no decision and no score.

    Actions are those on incidents that are open; one that would only be opened now is left to the next check.
    """
    champion = context.registry.by_alias(CHAMPION)
    if champion is None:
        seen = _nothing("no version is champion yet: nothing to watch")
    elif context.settings.drift.source == "months":
        seen = _months(context, Monitored.fetch(context, champion))
    else:
        seen = _live(context, Monitored.fetch(context, champion))
    held = frozen(context)
    return {
        **seen,
        "frozen": held.reason if held else None,
        "incidents": [
            {"incident_id": one.incident.id, "action": one.decision.action, "because": one.decision.reason}
            for one in planned_actions(context)
        ],
        "calendar": [
            {"kind": one.kind, "action": one.decision.action, "because": one.decision.reason}
            for one in calendar(context)
        ],
    }


def sentences(found: Preview) -> list[str]:
    """Return the preview as lines of text: freeze, decision, verdict, open incidents, incidents that may be due."""
    lines = [found["frozen"]] if found["frozen"] else []
    lines += [f"now: {found['decision']}: {found['because']}"]
    if found["reason"] not in found["because"]:
        lines.append(f"seen: {found['verdict']}: {found['reason']}")
    lines += [f"incident {one['incident_id']}: {one['action']}: {one['because']}" for one in found["incidents"]]
    return lines + [f"{one['kind']}: {one['action']}: {one['because']}" for one in found["calendar"]]


def _nothing(reason: str, verdict: str = "no new data") -> Seen:
    return {"verdict": verdict, "reason": reason, "decision": "nothing", "because": reason}


def _live(context: Context, monitored: Monitored) -> Seen:
    champion, drift = monitored.version, context.settings.drift
    window = live_window(context, champion, monitored.window_size(drift))
    verdict = judge_window(monitored, window, drift, earlier_errors(context, champion)).verdict
    watch = post_promotion.watch_of(context, champion) if verdict.verdict != BROKEN else None
    looked = post_promotion.look(context, watch, window, monitored.thresholds) if watch else None
    decision = decision_on(context, champion, verdict, recorded=False)
    if looked is not None and looked.decision.action in ("roll back", "frozen"):
        decision = looked.decision
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "decision": decision.action,
        "because": decision.reason,
    }


def _months(context: Context, monitored: Monitored) -> Seen:
    """Return which months a check would score: a month is judged only after it is scored, and scoring writes.

    A month that was published again with more rows is not detected here.
    """
    watermark = monitored.reference.holdout["event_at"].max().to_pydatetime()
    checks = context.checks.latest(monitored.version.number, limit=None)
    judged = {check.report.get("source") for check in checks if check.verdict in (*JUDGED, BROKEN)}
    published = context.source.published()
    ahead = [
        month for month in published if month > Month.of(watermark, context.contract.zone) and str(month) not in judged
    ]
    if not ahead:
        return _nothing(f"version {monitored.version.number} has been judged on every month that is published")
    names = ", ".join(map(str, ahead))
    reason = f"version {monitored.version.number} has not been judged on {names}: a check would score that first"
    return {**_nothing(reason, "not scored yet"), "decision": "not enough data"}
