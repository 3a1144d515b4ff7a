"""Scheduled retraining: compares a champion of old training data with a challenger of newer months, alarm or not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

from autoops.errors import Conflict
from autoops.loop.context import Context
from autoops.loop.data import validation
from autoops.loop.decide import reevaluation
from autoops.loop.decide.policy import Decision
from autoops.loop.incidents.freeze import frozen
from autoops.loop.incidents.recent_actions import recent_actions
from autoops.loop.records.ledger import Incident
from autoops.models.registry import CPU_SECONDS, ModelVersion
from autoops.months import Month, parse_months

KIND: Final = "scheduled"
RECENT = 6
"""Retrainings that tell what the next one is likely to be worth."""


def may_be_due(context: Context, champion: ModelVersion) -> bool:
    """Return whether a scheduled retraining may be due by the calendar alone.

    This saves requests to the source: no month is published before it has begun.
    """
    due = next_due(context, champion)
    return due is not None and Month.of(context.clock.now(), context.contract.zone) >= due.month


def next_due(context: Context, champion: ModelVersion) -> reevaluation.Next | None:
    """Return when the next scheduled retraining is due and why, from the ledger; None where they are switched off."""
    training = context.settings.training
    if not training.retrain_after_months:
        return None
    age = _age(context, champion, context.ledger.incidents())
    return reevaluation.next_scheduled(age, training.retrain_after_months, training.budget)


def due(context: Context, champion: ModelVersion, usable: list[Month]) -> Decision:
    """Decide whether to open a scheduled retraining now; write nothing."""
    incidents, training = context.ledger.incidents(), context.settings.training
    return reevaluation.retraining_due(
        replace(_age(context, champion, incidents), newest=usable[-1] if usable else None),
        training.retrain_after_months,
        next((one.id for one in incidents if one.status != "closed"), None),
        frozen(context),
        recent_actions(context, incidents),
        context.settings.drift.cooldown_days,
        training.most_per_week,
        training.budget,
    )


class Worth(NamedTuple):
    """Number and CPU seconds of the last retrainings with a known cost, and the loss that they saved for each.

    That is the gate's difference of those that were promoted, over the rows of their first month.
    """

    retrainings: int
    cpu_seconds: float
    per_cpu_second: float


def worth_of_recent(context: Context) -> Worth | None:
    """Return what the last retrainings brought, by the ledger; None where the cost of none is known."""
    trained = context.ledger.entries(kind="trained")
    spent = {one.model_version: float(one.evidence.get(CPU_SECONDS) or 0) for one in trained}
    promoted = {entry.model_version for entry in context.ledger.entries(kind="promoted")}
    # The last verdict on each: an interim re-evaluation trains nothing, and settles what its challenger brought.
    last = {entry.model_version: entry.evidence for entry in context.ledger.entries(kind="gate")}
    recent = [number for number in last if spent.get(number) and last[number].get("champion") is not None][-RECENT:]
    if not recent:
        return None
    saved = sum(_saved(last[number]) for number in recent if number in promoted)
    cpu_seconds = sum(spent[number] for number in recent)
    return Worth(len(recent), cpu_seconds, saved / cpu_seconds)


def _saved(verdict: Mapping[str, Any]) -> float:
    """Return the loss that a promoted version saves in a month with as many rows a day as the gate saw."""
    if not verdict["days"]:
        return 0.0
    rows = verdict["rows"] / verdict["days"] * parse_months(verdict["months"])[-1].days
    return max(0.0, -float(verdict["difference"] or 0)) * float(rows)


def _age(context: Context, champion: ModelVersion, incidents: list[Incident]) -> reevaluation.Age:
    """Return what the ledger says of earlier retrainings, without the newest month."""
    own = [one for one in incidents if one.kind == KIND and one.model_version == champion.number]
    ends = [Month.of(one.evidence_end, context.contract.zone) for one in own if one.evidence_end]
    begun = context.ledger.entries(kind="retraining begun")
    worth = worth_of_recent(context) if context.settings.training.budget else None
    # A later verdict of an interim re-evaluation belongs to another incident: it promotes, or adds nothing.
    said = {entry.incident_id: entry.evidence["decision"] for entry in context.ledger.entries(kind="gate")}
    return reevaluation.Age(
        newest=None,
        trained=_trained(context, champion),
        scheduled=max(ends, default=None),
        retrained=max((parse_months(entry.evidence["months"])[-1] for entry in begun), default=None),
        found_nothing=sum(said.get(one.id, "promote") != "promote" for one in own),
        worth=worth.per_cpu_second if worth else None,
    )


def open_one(
    context: Context, champion: ModelVersion, decision: Decision, usable: list[Month], actor: str
) -> int | None:
    """Open the incident and return its id.

    None where another check has opened it, and where the newest month, once fetched, is quarantined.
    """
    newest = usable[-1]
    # It may never have been fetched, and only its content shows whether it is broken.
    if newest in context.source.published() and not validation.usable(context, [newest], actor):
        return None
    try:
        return context.ledger.open_incident(
            KIND,
            decision.reason,
            actor=actor,
            model_version=champion.number,
            # Just within the month: `ends_at` is the first instant of the next one.
            evidence_end=newest.ends_in(context.contract.zone) - timedelta(microseconds=1),
            evidence={"trained": str(_trained(context, champion)), "newest": str(newest)},
            key=f"{KIND} of version {champion.number} with {newest}",
        )
    except Conflict:
        return None


def _trained(context: Context, champion: ModelVersion) -> Month:
    """Return the newest month of a version's training; one registered by other means has only a newest row."""
    months = champion.tags.get("training_months")
    return parse_months(months)[-1] if months else Month.of(champion.trained_until, context.contract.zone)
