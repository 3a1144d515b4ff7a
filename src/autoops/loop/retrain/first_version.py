"""The first champion of an installation; its training may be repeated after a failure."""

from itertools import count
from typing import NotRequired, TypedDict

from autoops.errors import NoChampion
from autoops.loop.context import Context
from autoops.loop.retrain import retraining
from autoops.models.registry import CHAMPION


class FirstVersion(TypedDict):
    """Whether a version was promoted, and the outcome."""

    promoted: bool
    version: int
    outcome: str
    reason: NotRequired[str]
    incident_id: NotRequired[int]
    waiting: NotRequired[bool]


def train_first_version(context: Context, *, months: str | None, reason: str, actor: str) -> FirstVersion:
    """Train a version and promote it where it beats the baseline; do nothing where there is a champion.

    Raises:
        NoChampion: the version was not promoted.
        AutoOpsError: a step fails.
    """
    champion = context.registry.by_alias(CHAMPION)
    if champion is not None:
        outcome = f"version {champion.number} is champion already"
        return {"promoted": False, "version": champion.number, "outcome": outcome}
    plan = retraining.begin(context, _attempt(context), months=months, reason=reason, actor=actor)
    with retraining.failures_recorded(context, plan):
        version = retraining.candidate(context, plan)
        promotion = retraining.promote(context, plan, version, retraining.gate(context, plan, version))
        closed = retraining.close(context, plan, promotion)
    if not promotion["promoted"]:
        raise NoChampion(f"still no version carries the alias champion: {closed['outcome']}")
    return {**promotion, **closed}


def _attempt(context: Context) -> str:
    """Return the id of the run that broke off, or a new one where the last came to its end.

    Without this, every restart would leave an open incident behind.

    Raises:
        AssertionError: never, because `count` has no end.
    """
    for number in count(1):
        run_id = f"bootstrap-{number}"
        incident_id = context.ledger.claimed_by(run_id, retraining.ACTION)
        if incident_id is None or context.ledger.incident(incident_id).status != "closed":
            return run_id
    raise AssertionError("count has no end")
