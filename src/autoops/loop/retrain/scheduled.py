"""Scheduled retraining: compares a champion of old training data with a challenger of newer months, alarm or not."""

from datetime import timedelta
from typing import Final

from autoops.errors import Conflict
from autoops.loop.context import Context
from autoops.loop.data import validation
from autoops.loop.decide import reevaluation
from autoops.loop.decide.policy import Decision
from autoops.loop.incidents.freeze import frozen
from autoops.loop.incidents.recent_actions import recent_actions
from autoops.models.registry import ModelVersion
from autoops.months import Month, parse_months

KIND: Final = "scheduled"


def may_be_due(context: Context, champion: ModelVersion) -> bool:
    """Return whether a scheduled retraining may be due by the calendar alone.

    This saves requests to the source: no month is published before it has begun.
    """
    every = context.settings.training.retrain_after_months
    return bool(every) and Month.of(context.clock.now(), context.contract.zone) >= _trained(context, champion).plus(
        every
    )


def due(context: Context, champion: ModelVersion, usable: list[Month]) -> Decision:
    """Decide whether to open a scheduled retraining now; write nothing."""
    if not usable:
        return Decision("nothing", "no published month may be used")
    incidents, training = context.ledger.incidents(), context.settings.training
    stands = next((one.id for one in incidents if one.status != "closed"), None)
    own = [one.evidence_end for one in incidents if one.kind == KIND and one.model_version == champion.number]
    begun = context.ledger.entries(kind="retraining begun")
    age = reevaluation.Age(
        newest=usable[-1],
        trained=_trained(context, champion),
        scheduled=max((Month.of(until, context.contract.zone) for until in own if until), default=None),
        retrained=max((parse_months(entry.evidence["months"])[-1] for entry in begun), default=None),
    )
    return reevaluation.retraining_due(
        age,
        training.retrain_after_months,
        stands,
        frozen(context),
        recent_actions(context, incidents),
        context.settings.drift.cooldown_days,
        training.most_per_week,
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
