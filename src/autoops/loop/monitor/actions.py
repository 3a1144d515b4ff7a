"""Actions on incidents: which may start a retraining now, and which are opened without an alarm."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from autoops.errors import DataError, SourceUnavailable
from autoops.loop.context import Context
from autoops.loop.decide import policy, reevaluation
from autoops.loop.incidents.freeze import frozen
from autoops.loop.incidents.recent_actions import recent_actions
from autoops.loop.records.checks import ACTOR
from autoops.loop.records.kinds import POLICY_KINDS, EntryKind
from autoops.loop.records.ledger import PAGE as PAGE
from autoops.loop.records.ledger import Incident
from autoops.loop.retrain import interim, scheduled
from autoops.loop.retrain.plan import ACTION
from autoops.loop.retrain.training_window import answers, known_months
from autoops.models.registry import CHAMPION
from autoops.months import Month

logger = logging.getLogger(__name__)

BEGUN_BY_ITSELF = ("drift", interim.KIND, scheduled.KIND)
ASK_AGAIN_AFTER = timedelta(minutes=15)
"""A retraining that was requested but has not begun is requested again after this long (wall time)."""


@dataclass(frozen=True)
class PlannedAction:
    """An incident with the policy's decision on it."""

    incident: Incident
    decision: policy.Decision


def actionable(context: Context) -> list[int]:
    """Open what is due without an alarm, and return the incidents for which a retraining should start now.

    The ledger says why the others wait.
    """
    open_due(context)
    return [planned.incident.id for planned in planned_actions(context) if _starts(context, planned)]


def open_due(context: Context) -> None:
    """Open at most one incident that is due without an alarm, an interim re-evaluation first.

    A source that does not answer, or a month that cannot be fetched, does not fail the check: a later one opens the
    incident.
    """
    try:
        due = [one for one in calendar(context) if one.decision.action == "open incident"]
        if due:
            due[0].open()
    except (SourceUnavailable, DataError) as error:
        logger.warning("an interim re-evaluation or a scheduled retraining cannot be opened: %s", error)


@dataclass(frozen=True)
class Due:
    """The policy's decision on opening an incident of this kind without an alarm; `open` opens it."""

    kind: str
    decision: policy.Decision
    open: Callable[[], int | None]


def calendar(context: Context) -> list[Due]:
    """Return the decisions on an interim re-evaluation, where a challenger waits, and on a scheduled retraining.

    The latter is included where one may be due by the date. Nothing is written, and the source is asked in these cases
    alone.
    """
    champion, verdict = context.registry.by_alias(CHAMPION), interim.waiting(context)
    if champion is None:
        return []
    old = scheduled.may_be_due(context, champion)
    usable, found = known_months(context) if old or verdict else [], []
    if verdict:
        decision = interim.due(context, champion, verdict, usable)
        opening = partial(interim.open_one, context, verdict, decision, usable, ACTOR)
        found.append(Due(interim.KIND, decision, opening))
    if old:
        decision = scheduled.due(context, champion, usable)
        opening = partial(scheduled.open_one, context, champion, decision, usable, ACTOR)
        found.append(Due(scheduled.KIND, decision, opening))
    return found


def planned_actions(context: Context) -> list[PlannedAction]:
    """Return what would be done now about each incident that the loop opened and no run has claimed.

    The newest comes first. Nothing is written.
    """
    incidents = context.ledger.incidents()
    unclaimed = [
        incident
        for incident in incidents
        if incident.kind in BEGUN_BY_ITSELF
        and incident.status != "closed"
        and context.ledger.holder(incident.id, ACTION) is None
    ]
    if not unclaimed:
        return []
    world = _World.now(context, incidents)
    return [PlannedAction(incident, _planned(context, world, incident)) for incident in unclaimed]


@dataclass(frozen=True)
class _World:
    """The state that all actions of a moment depend on."""

    usable: list[Month]
    champion: int | None
    frozen: policy.Freeze | None
    recent_actions: policy.RecentActions

    @classmethod
    def now(cls, context: Context, incidents: list[Incident]) -> "_World":
        champion = context.registry.by_alias(CHAMPION)
        number = champion.number if champion else None
        return cls(known_months(context), number, frozen(context), recent_actions(context, incidents))


def _planned(context: Context, world: _World, incident: Incident) -> policy.Decision:
    cooldown_days, training = context.settings.drift.cooldown_days, context.settings.training
    if incident.kind == interim.KIND:
        one, newest = interim.about(context, incident, world.usable)
        return reevaluation.re_evaluate(one, world.champion, newest, world.frozen, world.recent_actions, cooldown_days)
    if incident.model_version not in (None, world.champion):
        return policy.Decision("void", f"version {incident.model_version} is champion no more")
    published = answers(context, incident.evidence_end)
    decision = policy.next_action(published, world.frozen, world.recent_actions, cooldown_days, training.most_per_week)
    if decision.action != "wait for data":
        return decision
    newest_month = str(world.usable[-1]) if world.usable else "none"
    # Only evidence with an end waits for data (`reaches`).
    assert incident.evidence_end
    reach = f"evidence reaches {incident.evidence_end.astimezone(context.contract.zone):%Y-%m-%d}"
    reason = f"{reach}, the newest month that may be used is {newest_month}"
    return policy.Decision(decision.action, reason)


def _starts(context: Context, planned: PlannedAction) -> bool:
    """Return whether to request a retraining now; record in the ledger what else becomes of the incident."""
    incident, decision = planned.incident, planned.decision
    if decision.action == "void":
        context.ledger.close(incident.id, f"void: {decision.reason}", actor=ACTOR)
        return False
    if decision.action == "wait for data":
        context.ledger.set_status(incident.id, "waiting_for_data", decision.reason, actor=ACTOR)
        return False
    # Does nothing unless the incident had to wait.
    context.ledger.set_status(
        incident.id, "open", f"the {context.contract.plural} that it waited for may be used now", actor=ACTOR
    )
    if decision.action not in ("retrain", "re-evaluate"):
        _say_once(context, incident.id, POLICY_KINDS[decision.action], decision.reason)
        return False
    if _asked_lately(context, incident.id):
        return False
    context.ledger.record("retraining asked for", incident.reason, actor=ACTOR, incident_id=incident.id)
    return True


def _say_once(context: Context, incident_id: int, kind: EntryKind, reason: str) -> None:
    """Record a page once per incident, and anything else unless its last entry has the same reason."""
    said = context.ledger.entries(incident_id=incident_id, kind=kind)
    if not said or (kind != PAGE and said[-1].reason != reason):
        context.ledger.record(kind, reason, actor=ACTOR, incident_id=incident_id)


def _asked_lately(context: Context, incident_id: int) -> bool:
    asked = context.ledger.entries(incident_id=incident_id, kind="retraining asked for")
    return bool(asked) and asked[-1].at > context.clock.now() - ASK_AGAIN_AFTER
