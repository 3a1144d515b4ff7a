"""Incidents that end before any action: after as many ordinary windows in a row as are considered to open one.

An incident is opened by k alarms in m windows and withdrawn after m windows without any (hysteresis), so that a change
that comes and goes with the hours does neither.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from autoops.loop.context import Context
from autoops.loop.data.cursor import promoted_at
from autoops.loop.records.checks import JUDGED, LOOKED_BACK, Check
from autoops.loop.records.ledger import Incident
from autoops.loop.retrain.retraining import ACTION
from autoops.models.registry import ModelVersion


def recovered(checks: Sequence[Check], incident: Incident, alarms_of: int, noun: str = "rows") -> str | None:
    """Return why the incident is over; None if it is not. Pure.

    `checks` are those of the champion that judged drift, the ones that the incident was opened for included. Each
    detector that had alarmed must have found nothing in its own last `alarms_of` windows, on rows after the evidence:
    without labels, a check cannot tell whether the error is ordinary again. Meanwhile no other detector may have
    alarmed. `noun` is that for rows.
    """
    since, until = incident.evidence_start, incident.evidence_end
    if since is None or until is None:
        return None
    # The incident's own checks may be among the recent ones, and count once.
    checks = sorted({check.id: check for check in checks}.values(), key=lambda check: check.id, reverse=True)
    evidence = {check.id: check for check in checks if check.event_from and since <= check.event_from < until}
    alarmed = {one["name"] for check in evidence.values() for one in _detectors(check) if one["alarm"]}
    telling = [_later(checks, name, until)[:alarms_of] for name in alarmed]
    if not telling or min(len(windows) for windows in telling) < alarms_of:
        return None
    oldest = min(check.id for windows in telling for check, *_ in windows)
    if any(check.alarm for check in checks if check.id >= oldest and check.id not in evidence):
        return None
    first = min(begin for windows in telling for _, begin, _ in windows)
    last = max(end for windows in telling for _, _, end in windows)
    span = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
    return f"recovered: the last {alarms_of} windows, of {noun} from {span}, are ordinary"


def _later(checks: Sequence[Check], detector: str, until: datetime) -> list[tuple[Check, datetime, datetime]]:
    """Return the checks in which the detector judged rows from `until` on, with the span of these rows."""
    found = []
    for check in checks:
        begin, end = next((_span(check, one) for one in _detectors(check) if one["name"] == detector), (None, None))
        if begin and end and begin >= until:
            found.append((check, begin, end))
    return found


def _span(check: Check, detector: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Return the detector's own span; a record of an older release has only that of the check."""
    begin, end = detector.get("event_from"), detector.get("event_until")
    if begin is None or end is None:
        return check.event_from, check.event_until
    return datetime.fromisoformat(begin), datetime.fromisoformat(end)


def withdraw(context: Context, champion: ModelVersion, actor: str) -> list[int]:
    """Close the incidents that are over, of those that wait for data and that no run has claimed; return their ids."""
    waiting = [
        incident
        for incident in context.ledger.incidents(unresolved=True)
        if incident.kind == "drift"
        and incident.status == "waiting_for_data"
        and incident.model_version == champion.number
        and context.ledger.holder(incident.id, ACTION) is None
    ]
    if not waiting:
        return []
    since = promoted_at(champion)
    checks = context.checks.latest(champion.number, since=since, verdicts=JUDGED, limit=LOOKED_BACK)
    closed = []
    for incident in waiting:
        # Read separately: an incident may wait for longer than LOOKED_BACK checks reach.
        evidence = context.checks.behind(incident)
        alarms_of, noun = context.settings.drift.alarms_of, context.contract.plural
        outcome = recovered([*checks, *evidence], incident, alarms_of, noun)
        if outcome is not None:
            context.ledger.close(incident.id, outcome, actor=actor)
            closed.append(incident.id)
    return closed


def _detectors(check: Check) -> Sequence[Mapping[str, Any]]:
    """Return the results of the detectors that judged."""
    found: Sequence[Mapping[str, Any]] = check.report.get("detectors", ())
    return found
