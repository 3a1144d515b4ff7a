"""The loop without a champion: before the first version, or because somebody deleted the alias."""

from typing import Any

from autoops.errors import Conflict
from autoops.loop.context import Pipeline
from autoops.loop.records.checks import ACTOR
from autoops.loop.records.ledger import PAGE
from autoops.models.registry import ModelVersion, lost_champion, told_lost


def nothing_to_watch(pipeline: Pipeline) -> dict[str, Any]:
    """What a check returns. Somebody is paged where the alias was deleted: what serves goes on, but nobody watches it,
    and no other process could begin to serve."""
    lost = lost_champion(pipeline.registry)
    reason = "no version is champion yet: nothing to watch" if lost is None else told_lost(lost)
    if lost is not None:
        _page_once(pipeline, lost, reason)
    found = {"check_id": None, "verdict": "no champion", "alarm": False, "reason": reason}
    lists: dict[str, Any] = {"windows": [], "quarantined": [], "recovered": [], "actionable": []}
    return found | {"decision": "nothing" if lost is None else PAGE, "because": reason, **lists}


def require_none_lost(pipeline: Pipeline) -> None:
    """Raises Conflict where a version that was promoted is champion no more: the next one is no first version, and
    there is nothing to compare it with."""
    lost = lost_champion(pipeline.registry)
    if lost is not None:
        raise Conflict(told_lost(lost))


def _page_once(pipeline: Pipeline, lost: ModelVersion, reason: str) -> None:
    """Until a version is promoted again."""
    entries = [entry for kind in (PAGE, "promoted") for entry in pipeline.ledger.entries(kind=kind)]
    last = max(entries, key=lambda entry: entry.id, default=None)
    if last is None or last.reason != reason:
        pipeline.ledger.record(PAGE, reason, actor=ACTOR, model_version=lost.number)
