"""An incident as a report: gathered from the ledger, the checks and the registry. `report` puts it into words."""

from collections.abc import Sequence
from typing import Any

from autoops.errors import NotFound
from autoops.loop import second_looks
from autoops.loop.checks import JUDGED, Check
from autoops.loop.ledger import Entry, Incident
from autoops.loop.pipeline import Pipeline
from autoops.loop.regret import COMPARED, OVER
from autoops.loop.reigns import Reign, reigns

LATEST_CHECKS = 1_000
BEGUN = ("retraining begun", "second look begun")
TAKEN_UP = ("trained", "second look begun")
"""The versions that an incident is about."""


def explain(pipeline: Pipeline, incident_id: int) -> dict[str, Any]:
    """All that is known of it, JSON-able but for moments. Raises NotFound."""
    incident = pipeline.ledger.incident(incident_id)
    entries = pipeline.ledger.entries(incident_id=incident_id)
    opened = next((entry for entry in entries if entry.kind == "incident opened"), None)
    gates = [entry for entry in entries if entry.kind == "gate"]
    trained = [entry.model_version for entry in entries if entry.kind in TAKEN_UP and entry.model_version is not None]
    return {
        "incident": incident,
        "opened_by": opened.actor if opened else None,
        "verdict": opened.evidence.get("verdict") if opened else None,
        "cause": opened.evidence.get("cause") if opened else None,
        "second_look": opened.evidence if opened and incident.kind == second_looks.KIND else None,
        "alarms": _alarms(pipeline, incident),
        "history": [(entry.at, entry.actor, entry.kind, entry.model_version, entry.reason) for entry in entries],
        "begun": next((entry.evidence for entry in entries if entry.kind in BEGUN), None),
        "gate": gates[-1].evidence if gates else None,
        "versions": trained,
        "reigns": _reigns(pipeline, incident, trained),
        "afterwards": [(entry.at, entry.kind, entry.reason) for entry in _afterwards(pipeline, trained)],
        "links": _links(pipeline, incident, trained, opened),
    }


def _alarms(pipeline: Pipeline, incident: Incident) -> list[dict[str, Any]]:
    """The checks that found drift in the time that the incident is about, oldest first."""
    if incident.holds_from is None or incident.evidence_until is None or incident.model_version is None:
        return []
    checks = pipeline.checks.latest(incident.model_version, judged=True, limit=LATEST_CHECKS)
    inside = [check for check in reversed(checks) if _within(check, incident)]
    return [
        {
            "check_id": check.id,
            "checked_at": check.checked_at,
            "event_from": check.event_from,
            "event_until": check.event_until,
            "alarm": check.alarm,
            "reason": check.reason,
            "detectors": check.report.get("detectors", ()),
        }
        for check in inside
    ]


def _within(check: Check, incident: Incident) -> bool:
    if check.verdict not in JUDGED or check.event_from is None or check.event_until is None:
        return False
    assert incident.holds_from is not None
    assert incident.evidence_until is not None
    return incident.holds_from <= check.event_from and check.event_until <= incident.evidence_until


def _reigns(pipeline: Pipeline, incident: Incident, trained: Sequence[int]) -> list[Reign]:
    """Of the version that the incident is about, when it was opened, and of what came of it."""
    return [
        reign
        for reign in reigns(pipeline)
        if reign.version in trained
        or (reign.began_at <= incident.opened_at and (reign.until is None or reign.until >= incident.opened_at))
    ]


def _afterwards(pipeline: Pipeline, trained: Sequence[int]) -> list[Entry]:
    """How the promoted version did against the one that it replaced."""
    known = [entry for number in trained for entry in pipeline.ledger.entries(model_version=number)]
    ended = {entry.reason for entry in known if entry.kind in (OVER, "rolled back")}
    return [
        entry
        for entry in known
        if entry.kind in (OVER, "rolled back")
        or (entry.kind == COMPARED and entry.evidence["verdict"] and entry.reason not in ended)
    ]


def _links(
    pipeline: Pipeline, incident: Incident, trained: Sequence[int], opened: Entry | None
) -> list[tuple[str, str]]:
    """What it is and where: MLflow's pages, and the files of the check."""
    settings = pipeline.settings
    base = settings.mlflow.tracking_uri.rstrip("/")
    pages = base.startswith("http")
    found: list[tuple[str, str]] = []
    for number in trained:
        run_id = _run_id(pipeline, number)
        found.append((f"version {number}", f"{base}/#/models/{settings.model.name}/versions/{number}" if pages else ""))
        if run_id:
            found.append((f"training of version {number}", f"{base}/#/runs/{run_id}" if pages else f"run {run_id}"))
    check_id = opened.evidence.get("check_id") if opened else None
    if check_id is not None and incident.model_version is not None:
        checks = pipeline.checks.latest(incident.model_version, judged=True, limit=LATEST_CHECKS)
        report = next((check.report for check in checks if check.id == check_id), {})
        run_id = report.get("mlflow_run_id")
        if run_id:
            found.append((f"check {check_id}", f"{base}/#/runs/{run_id}" if pages else f"run {run_id}"))
        found += [(f"check {check_id}", file) for file in report.get("files", ())]
    return [(what, where) for what, where in found if where]


def _run_id(pipeline: Pipeline, number: int) -> str | None:
    try:
        return pipeline.registry.version(number).run_id
    except NotFound:
        return None
