"""The plan of a retraining run: made once when the run begins, and given to all steps."""

import zlib
from typing import Final

from autoops.errors import Conflict, InputError
from autoops.loop.context import Context
from autoops.loop.incidents.freeze import frozen
from autoops.loop.promote.no_champion import require_none_lost
from autoops.loop.records.kinds import EntryKind
from autoops.loop.records.ledger import Incident
from autoops.loop.retrain import interim
from autoops.loop.retrain.training_window import Months, given, known_until, newest_window
from autoops.months import parse_months
from autoops.telemetry import tracing
from autoops.training.trial import check_model

ACTION = "retrain"
FAILED: Final = "retraining failed"
BEGUN: tuple[EntryKind, EntryKind] = ("retraining begun", "re-evaluation begun")


class Run(tracing.Carrier):
    """A run and the incident that it works on; carries the trace from task to task where traces are on."""

    incident_id: int
    run_id: str
    actor: str


class Plan(Run):
    """What a run does, as plain JSON that goes from task to task.

    `logged` are those of the `months` whose rows come from the log; `known_until` is the event time that the rows of
    all months reach, `evidence_start` that at which the incident's evidence begins. `automatic` says that no person
    asked for the run. In an interim re-evaluation `challenger` is the version that waits, None where one is trained,
    and `look` is the number of the evaluation.
    """

    months: list[str]
    logged: list[str]
    known_until: str
    reason: str
    force: bool
    evidence_start: str | None
    trigger: str
    automatic: bool
    challenger: int | None
    look: int


@tracing.span("retrain.begin")
def begin(
    context: Context,
    run_id: str,
    *,
    incident_id: int | None = None,
    months: str | None = None,
    reason: str = "",
    force: bool = False,
    actor: str = "airflow",
    by_hand: bool = False,
) -> Plan:
    """Claim the incident for this run (a manual run opens one of its own) and choose the months.

    `by_hand` says that a person asked for a run on an incident; such a run may take over from another one that failed.
    Invalid settings of the model and invalid months are raised before an incident is opened.

    Raises:
        Conflict: another run has claimed the incident, the incident is closed, a freeze keeps an automatic run from
            beginning, the champion alias is lost, or an interim re-evaluation would settle nothing any more.
        NotPublished: there is nothing to train on or to compare with.
        InputError: `force` has no reason, or the model's settings or the months are invalid.
    """
    if force and not reason:
        raise InputError("force: say why, it stands in the ledger")
    check_model(context.settings.model, context.contract)
    context.registry.require_usable()
    require_none_lost(context)
    standing = _standing(context, run_id, incident_id, by_hand)
    # Before an incident is opened: a run that has nothing to train on leaves none behind.
    chosen = _named(context, months) if months else _months(context, standing, actor)
    incident = standing or _own_incident(context, run_id, reason, actor)
    _claim(context, incident, run_id, by_hand)
    challenger, look = _challenger(context, incident)
    plan: Plan = {
        "incident_id": incident.id,
        "run_id": run_id,
        "months": [str(month) for month in chosen.all],
        "logged": [str(month) for month in chosen.logged],
        "known_until": known_until(context, chosen).isoformat(),
        "reason": reason or incident.reason,
        "force": force,
        "evidence_start": incident.evidence_start.isoformat() if incident.evidence_start else None,
        "trigger": _trigger(standing),
        "automatic": standing is not None and not by_hand,
        "actor": actor,
        "challenger": challenger,
        "look": look,
        **tracing.carried(),
    }
    _record(context, plan)
    return plan


def _named(context: Context, months: str) -> Months:
    """Return the months that a person named.

    Raises:
        NotPublished: neither the source nor the store has one of the published months.
    """
    chosen = given(context, parse_months(months))
    for month in chosen.published:
        if context.store.get(month) is None:
            # Raises where the source does not have the month, and fetches nothing.
            context.source.metadata(month)
    return chosen


def _record(context: Context, plan: Plan) -> None:
    context.ledger.record(
        BEGUN[0] if plan["challenger"] is None else BEGUN[1],
        plan["reason"],
        actor=plan["actor"],
        incident_id=plan["incident_id"],
        model_version=plan["challenger"],
        evidence={
            "run_id": plan["run_id"],
            "months": plan["months"],
            "logged": plan["logged"],
            "known_until": plan["known_until"],
            "force": plan["force"],
            "automatic": plan["automatic"],
        },
    )


def _claim(context: Context, incident: Incident, run_id: str, by_hand: bool) -> None:
    """Claim the incident: a scheduled run that failed may go on, and only a run by hand may take over from it."""
    held = context.ledger.holder(incident.id, ACTION)
    failures = context.ledger.entries(incident_id=incident.id, kind=FAILED) if by_hand else []
    if any(failure.evidence.get("run_id") == held for failure in failures):
        context.ledger.hand_over(incident.id, ACTION, str(held), run_id)
    context.ledger.claim(incident.id, ACTION, run_id)


def _challenger(context: Context, incident: Incident) -> tuple[int | None, int]:
    """Return the version that waits for an interim re-evaluation, or None, and the number of the evaluation."""
    if incident.kind != interim.KIND:
        return None, 1
    return interim.challenger_of(context, incident), interim.look_of(context, incident)


def _standing(context: Context, run_id: str, incident_id: int | None, by_hand: bool) -> Incident | None:
    """Return the incident that the run was given, if any.

    Raises:
        Conflict: the incident is closed, or a freeze keeps an automatic run from beginning.
    """
    if incident_id is None:
        return None
    standing, held = context.ledger.incident(incident_id), frozen(context)
    if standing.status == "closed":
        raise Conflict(f"incident {standing.id} is closed: {standing.outcome}")
    # A run that holds a claim began before the freeze, and stops before the promotion.
    if held and not by_hand and context.ledger.claimed_by(run_id, ACTION) is None:
        raise Conflict(held.reason)
    return standing


def _months(context: Context, standing: Incident | None, actor: str) -> Months:
    if standing is not None and standing.kind == interim.KIND:
        return interim.months_of(context, standing, actor)
    return newest_window(context, standing.evidence_end if standing else None, actor)


def _trigger(standing: Incident | None) -> str:
    if standing is None:
        return "manual"
    return "incident" if standing.kind == "drift" else standing.kind


def _own_incident(context: Context, run_id: str, reason: str, actor: str) -> Incident:
    """Return the incident of a run by hand; one that this run opened before it was killed is used again."""
    # The column takes 100 characters; the checksum tells run ids apart that are cut off there.
    reason, key = reason or "retraining asked for by hand", f"run {zlib.crc32(run_id.encode()):08x} {run_id}"[:100]
    opened = (incident for incident in context.ledger.incidents() if incident.key == key)
    return next(opened, None) or context.ledger.incident(
        context.ledger.open_incident("manual", reason, actor=actor, key=key)
    )
