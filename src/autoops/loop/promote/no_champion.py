"""The loop without a champion: before the first version, or because somebody deleted the alias."""

from typing import Any

from autoops.errors import Conflict
from autoops.loop.context import Context
from autoops.loop.records.checks import ACTOR
from autoops.loop.records.ledger import PAGE
from autoops.models.registry import ModelVersion, lost_champion, lost_champion_message


def nothing_to_watch(context: Context) -> dict[str, Any]:
    """What a check returns. Somebody is paged where the alias was deleted: what serves goes on, but nobody watches it,
    and no other process could begin to serve."""
    lost = lost_champion(context.registry)
    reason = "no version is champion yet: nothing to watch" if lost is None else lost_champion_message(lost)
    if lost is not None:
        _page_once(context, lost, reason)
    found = {"check_id": None, "verdict": "no champion", "alarm": False, "reason": reason}
    lists: dict[str, Any] = {"windows": [], "quarantined": [], "recovered": [], "actionable": []}
    return found | {"decision": "nothing" if lost is None else PAGE, "because": reason, **lists}


def require_none_lost(context: Context) -> None:
    """Raises Conflict where a version that was promoted is champion no more: the next one is no first version, and
    there is nothing to compare it with."""
    lost = lost_champion(context.registry)
    if lost is not None:
        raise Conflict(lost_champion_message(lost))


def _page_once(context: Context, lost: ModelVersion, reason: str) -> None:
    """Until a version is promoted again."""
    entries = [entry for kind in (PAGE, "promoted") for entry in context.ledger.entries(kind=kind)]
    last = max(entries, key=lambda entry: entry.id, default=None)
    if last is None or last.reason != reason:
        context.ledger.record(PAGE, reason, actor=ACTOR, model_version=lost.number)
