"""Incidents that are over before anything was done: as many ordinary windows in a row as opening one looks at.

So an incident is opened by k alarms of m windows and withdrawn by m windows without any (hysteresis): what comes and
goes with the hours does neither.
"""

from collections.abc import Sequence

from autoops.loop.checks import JUDGED, Check
from autoops.loop.ledger import Incident
from autoops.loop.pipeline import Pipeline
from autoops.loop.retraining import ACTION
from autoops.loop.windows import promoted_at
from autoops.registry import ModelVersion

LOOKED_BACK = 1_000
"""Checks; those that judged not all of what had alarmed do not count, and labels may be late."""


def recovered(checks: Sequence[Check], incident: Incident, alarms_of: int) -> str | None:
    """Why the incident is over. Pure; `checks` are the champion's that judged drift, newest first, those behind the
    incident included. A window without an alarm speaks for recovery only where it judged each detector that had
    alarmed, on trips after the evidence: without labels, nobody knows that the error is what it was."""
    since, until = incident.holds_from, incident.evidence_until
    if since is None or until is None:
        return None
    evidence = [check for check in checks if check.event_from and since <= check.event_from < until]
    alarmed = {name for check in evidence for name, alarm in _detectors(check).items() if alarm}
    later = [check for check in checks if check.event_from and check.event_from >= until]
    telling = [check for check in later if check.alarm or alarmed <= set(_detectors(check))][:alarms_of]
    if len(telling) < alarms_of or any(check.alarm for check in telling):
        return None
    first, last = telling[-1].event_from, telling[0].event_until
    assert first
    assert last
    span = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
    return f"recovered: the last {alarms_of} windows, of trips from {span}, are ordinary"


def withdraw(pipeline: Pipeline, champion: ModelVersion, actor: str) -> list[int]:
    """Closes what is over of the incidents that wait for data and that no retraining has taken up."""
    waiting = [
        incident
        for incident in pipeline.ledger.incidents(unresolved=True)
        if incident.kind == "drift"
        and incident.status == "waiting_for_data"
        and incident.model_version == champion.number
        and pipeline.ledger.holder(incident.id, ACTION) is None
    ]
    if not waiting:
        return []
    since = promoted_at(champion)
    checks = pipeline.checks.latest(champion.number, since=since, verdicts=JUDGED, limit=LOOKED_BACK)
    closed = []
    for incident in waiting:
        evidence = pipeline.checks.behind(incident)
        outcome = recovered([*checks, *evidence], incident, pipeline.settings.drift.alarms_of)
        if outcome is not None:
            pipeline.ledger.close(incident.id, outcome, actor=actor)
            closed.append(incident.id)
    return closed


def _detectors(check: Check) -> dict[str, bool]:
    """Whether each that judged alarmed."""
    return {one["name"]: one["alarm"] for one in check.report.get("detectors", ())}
