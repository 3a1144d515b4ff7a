"""Decisions of a person: approve a promotion that waits for one, or close an incident by hand."""

from typing import TypedDict

from autoops.errors import Conflict, NotFound
from autoops.loop.context import Context
from autoops.loop.promote.promotion import ROLLED_BACK, promote_version
from autoops.loop.records.kinds import EntryKind
from autoops.loop.records.ledger import Entry, Incident
from autoops.loop.retrain import retraining
from autoops.loop.retrain.plan import Run
from autoops.telemetry import tracing


class Approved(TypedDict):
    """Input of the steps that follow: the run on the incident, and the promotion."""

    plan: Run
    promotion: retraining.Promotion


@tracing.span("approve")
def approve(context: Context, incident_id: int, *, reason: str, actor: str) -> Approved:
    """Promote the version that waits for approval. A repeat of the same approval changes nothing.

    Raises:
        Conflict: nothing waits, the version was rolled back before, or what the gate compared with is champion no more.
        NotFound: there is no such incident, or no version that a gate has judged.
    """
    incident = context.ledger.incident(incident_id)
    gate = _last(context, incident, "gate")
    number, verdict = gate.model_version, gate.evidence
    assert number is not None
    if ROLLED_BACK in context.registry.version(number).tags:
        raise Conflict(f"version {number} was rolled back before: close incident {incident_id} instead")
    told = f"approved: {reason}; {verdict['decision']}: {verdict['reason']}"
    if not _approved_before(context, incident, actor, reason):
        if incident.status != retraining.WAITING:
            raise Conflict(f"incident {incident_id} is {incident.status.replace('_', ' ')}: nothing waits for approval")
        # Before the alias moves: a repeat of a call that broke off is recognised by this entry.
        context.ledger.record("approved", reason, actor=actor, incident_id=incident_id, model_version=number)
    promote_version(context, number, reason=told, actor=actor, incident_id=incident_id, replaces=verdict["champion"])
    # `close` may have to wait for the instances; meanwhile nothing waits for a person.
    context.ledger.set_status(incident_id, "open", f"version {number} waits for no approval any more", actor=actor)
    run: Run = {"incident_id": incident_id, "run_id": f"approval of incident {incident_id}", "actor": actor}
    return {"plan": run, "promotion": {"promoted": True, "version": number, "reason": told}}


def close_by_hand(context: Context, incident_id: int, *, reason: str, actor: str) -> str:
    """Close an incident, whatever it waits for, and return its outcome.

    Raises:
        Conflict: the incident is closed already.
        NotFound: there is no such incident.
    """
    incident = context.ledger.incident(incident_id)
    if incident.status == "closed":
        raise Conflict(f"incident {incident_id} is closed: {incident.outcome}")
    outcome = f"closed by hand: {reason}"
    context.ledger.close(incident_id, outcome, actor=actor)
    return outcome


def _last(context: Context, incident: Incident, kind: EntryKind) -> Entry:
    entries = context.ledger.entries(incident_id=incident.id, kind=kind)
    if not entries:
        raise NotFound(f"incident {incident.id} has no version that a gate has judged: nothing to approve")
    return entries[-1]


def _approved_before(context: Context, incident: Incident, actor: str, reason: str) -> bool:
    """Return whether the same actor approved with the same reason before, in a call that broke off."""
    approvals = context.ledger.entries(incident_id=incident.id, kind="approved")
    return incident.status != "closed" and any((a.actor, a.reason) == (actor, reason) for a in approvals)
