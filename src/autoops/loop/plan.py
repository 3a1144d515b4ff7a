"""What a run of the retraining is to do, decided once when it begins: the plan that all steps are given."""

from collections.abc import Mapping
from typing import Any

from autoops.errors import Conflict
from autoops.loop import second_looks
from autoops.loop.controls import frozen
from autoops.loop.ledger import Incident
from autoops.loop.pipeline import Pipeline
from autoops.loop.training_window import Months, given, newest_window
from autoops.months import parse_months

ACTION = "retrain"

Plan = Mapping[str, Any]
"""incident_id, run_id, months, logged (those of the months whose trips come from the log), force, holds_from, trigger,
automatic, actor; and of a second look the challenger that waits, None where one is trained, and the look's number."""


def begin(
    pipeline: Pipeline,
    run_id: str,
    *,
    incident_id: int | None = None,
    months: str | None = None,
    reason: str = "",
    force: bool = False,
    actor: str = "airflow",
    by_hand: bool = False,
) -> dict[str, Any]:
    """Claims the incident for this run (a manual run opens one of its own) and chooses the months. `by_hand` says that
    a person asked for a run on an incident.
    Raises Conflict when another run has claimed it, a freeze keeps the loop from beginning one by itself or a second
    look would settle nothing any more, NotPublished when there is nothing to train on or to compare with."""
    standing = _standing(pipeline, run_id, incident_id, by_hand)
    chosen = given(pipeline, parse_months(months)) if months else _months(pipeline, standing, actor)
    incident = standing or _own_incident(pipeline, run_id, reason, actor)
    pipeline.ledger.claim(incident.id, ACTION, run_id)
    plan = {
        "incident_id": incident.id,
        "run_id": run_id,
        "months": [str(month) for month in chosen.all],
        "logged": [str(month) for month in chosen.logged],
        "force": force,
        "holds_from": incident.holds_from.isoformat() if incident.holds_from else None,
        "trigger": _trigger(standing),
        "automatic": standing is not None and not by_hand,
        "actor": actor,
        **_look(pipeline, incident),
    }
    pipeline.ledger.record(
        "retraining begun" if plan["challenger"] is None else "second look begun",
        reason or incident.reason,
        actor=actor,
        incident_id=incident.id,
        model_version=plan["challenger"],
        evidence={name: plan[name] for name in ("run_id", "months", "logged", "force", "automatic")},
    )
    return plan


def _look(pipeline: Pipeline, incident: Incident) -> dict[str, Any]:
    if incident.kind != second_looks.KIND:
        return {"challenger": None, "look": 1}
    challenger, look = second_looks.challenger_of(pipeline, incident), second_looks.look_of(pipeline, incident)
    return {"challenger": challenger, "look": look}


def _standing(pipeline: Pipeline, run_id: str, incident_id: int | None, by_hand: bool) -> Incident | None:
    """The incident of the run, where it may begin on one."""
    if incident_id is None:
        return None
    standing, held = pipeline.ledger.incident(incident_id), frozen(pipeline)
    if standing.status == "closed":
        raise Conflict(f"incident {standing.id} is closed: {standing.outcome}")
    if held and not by_hand and pipeline.ledger.claimed_by(run_id, ACTION) is None:
        raise Conflict(held.reason)
    return standing


def _months(pipeline: Pipeline, standing: Incident | None, actor: str) -> Months:
    if standing is not None and standing.kind == second_looks.KIND:
        return second_looks.months_of(pipeline, standing, actor)
    return newest_window(pipeline, standing.evidence_until if standing else None, actor)


def _trigger(standing: Incident | None) -> str:
    if standing is None:
        return "manual"
    return "incident" if standing.kind == "drift" else standing.kind


def _own_incident(pipeline: Pipeline, run_id: str, reason: str, actor: str) -> Incident:
    """Of a run by hand; the one that this run opened before is found again."""
    known = pipeline.ledger.claimed_by(run_id, ACTION)
    return pipeline.ledger.incident(
        known or pipeline.ledger.open_incident("manual", reason or "retraining asked for by hand", actor=actor)
    )
