"""An incident as a report: gathered from the ledger, the checks and the registry. `report` puts it into words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from autoops.errors import NotFound
from autoops.loop.context import Context
from autoops.loop.promote.post_promotion import OVER
from autoops.loop.promote.promotion import COMPARED
from autoops.loop.promote.tenures import Tenure, tenures_of
from autoops.loop.records.checks import Check
from autoops.loop.records.kinds import EntryKind
from autoops.loop.records.ledger import Entry, Incident
from autoops.loop.reports.not_promoted import Answer, of_incident
from autoops.loop.retrain import interim, scheduled
from autoops.mlflow_pages import run_page, version_page

BEGUN = ("retraining begun", "re-evaluation begun")
TAKEN_UP = ("trained", "re-evaluation begun")
"""Kinds of entries that name the versions an incident trained or compared again."""

MOST = 500
"""Comparisons of a version after its promotion that are read at most."""


class Alarm(TypedDict):
    """A check that judged the incident's evidence."""

    check_id: int
    checked_at: datetime
    event_from: datetime | None
    event_until: datetime | None
    alarm: bool
    reason: str
    detectors: Sequence[Mapping[str, Any]]


class Explanation(TypedDict):
    """All records about an incident.

    `verdict`, `cause`, `re_evaluation`, `begun` and `gate` are as in the ledger. `history` has time, actor, kind,
    version and reason of each entry, `afterwards` time, kind and reason. `versions` were trained for the incident or
    compared again. `links` are pairs of a name and an address. `earlier_alarms` counts the alarms of the champion's
    checks before a scheduled retraining. `promotion` says what was promoted, or why nothing was.
    """

    incident: Incident
    opened_by: str | None
    verdict: Mapping[str, Any] | None
    cause: Mapping[str, Any] | None
    re_evaluation: Mapping[str, Any] | None
    alarms: list[Alarm]
    history: list[tuple[datetime, str, str, int | None, str]]
    begun: Mapping[str, Any] | None
    gate: Mapping[str, Any] | None
    versions: list[int]
    tenures: list[Tenure]
    afterwards: list[tuple[datetime, str, str]]
    links: list[tuple[str, str]]
    earlier_alarms: int
    promotion: Answer | None


def explain(context: Context, incident_id: int, *, linked: bool = True) -> Explanation:
    """Gather all records about the incident; without links and `promotion` it needs no registry, which may be away.

    Raises:
        NotFound: there is no such incident.
    """
    incident = context.ledger.incident(incident_id)
    entries = context.ledger.entries(incident_id=incident_id)
    opened = next((entry for entry in entries if entry.kind == "incident opened"), None)
    gates = [entry for entry in entries if entry.kind == "gate"]
    checks = context.checks.behind(incident)[::-1]
    trained = [entry.model_version for entry in entries if entry.kind in TAKEN_UP and entry.model_version is not None]
    return {
        "incident": incident,
        "opened_by": opened.actor if opened else None,
        "verdict": opened.evidence.get("verdict") if opened else None,
        "cause": opened.evidence.get("cause") if opened else None,
        "re_evaluation": opened.evidence if opened and incident.kind == interim.KIND else None,
        "alarms": [_alarm(check) for check in checks],
        "history": [(entry.at, entry.actor, entry.kind, entry.model_version, entry.reason) for entry in entries],
        "begun": next((entry.evidence for entry in entries if entry.kind in BEGUN), None),
        "gate": gates[-1].evidence if gates else None,
        "versions": trained,
        "tenures": _tenures(context, incident, trained),
        "afterwards": [(entry.at, entry.kind, entry.reason) for entry in _afterwards(context, trained)],
        "links": _links(context, trained, checks, opened) if linked else [],
        "earlier_alarms": _earlier_alarms(context, incident),
        "promotion": of_incident(context, incident) if linked else None,
    }


def _earlier_alarms(context: Context, incident: Incident) -> int:
    if incident.kind != scheduled.KIND or incident.model_version is None:
        return 0
    checks = context.checks.judged(incident.model_version, None)
    return sum(check.alarm and check.checked_at <= incident.opened_at for check in checks)


def _alarm(check: Check) -> Alarm:
    return {
        "check_id": check.id,
        "checked_at": check.checked_at,
        "event_from": check.event_from,
        "event_until": check.event_until,
        "alarm": check.alarm,
        "reason": check.reason,
        "detectors": check.report.get("detectors", ()),
    }


def _tenures(context: Context, incident: Incident, trained: Sequence[int]) -> list[Tenure]:
    """Return the tenure in which the incident was opened, and those of the versions that it trained."""
    return [
        tenure
        for tenure in tenures_of(context)
        if tenure.version in trained
        or (tenure.began_at <= incident.opened_at and (tenure.until is None or tenure.until >= incident.opened_at))
    ]


def _afterwards(context: Context, trained: Sequence[int]) -> list[Entry]:
    """Return the entries on how the promoted version did against the one that it replaced."""
    kinds: tuple[EntryKind, ...] = (COMPARED, OVER, "rolled back")
    known = [entry for number in trained for entry in context.ledger.latest(MOST, kinds=kinds, model_version=number)]
    known.sort(key=lambda entry: entry.id)
    # The comparison that ended the check has the reason of that end, and is left out.
    ended = {entry.reason for entry in known if entry.kind in (OVER, "rolled back")}
    return [
        entry for entry in known if entry.kind != COMPARED or (entry.evidence["verdict"] and entry.reason not in ended)
    ]


def _links(
    context: Context, trained: Sequence[int], checks: Sequence[Check], opened: Entry | None
) -> list[tuple[str, str]]:
    """Return pairs of a name and an address: MLflow's pages, and the files of the check."""
    found: list[tuple[str, str | None]] = []
    for number in trained:
        found.append((f"version {number}", version_page(context.settings, number)))
        found.append((f"training of version {number}", _run(context, _run_id(context, number))))
    for check in checks:
        if opened and check.id == opened.evidence.get("check_id"):
            found.append((f"check {check.id}", _run(context, check.report.get("mlflow_run_id"))))
            found += [(f"check {check.id}", file) for file in check.report.get("files", ())]
    return [(what, where) for what, where in found if where]


def _run(context: Context, run_id: str | None) -> str | None:
    """Return where a run is read: its page, or its id where MLflow has no pages; None where there is no run."""
    return (run_page(context.settings, run_id) or f"run {run_id}") if run_id else None


def _run_id(context: Context, number: int) -> str | None:
    try:
        return context.registry.version(number).run_id
    # `prune` deletes old versions, and incidents stay.
    except NotFound:
        return None
