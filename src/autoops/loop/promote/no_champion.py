"""The loop without a champion: before the first promotion, or after the alias was deleted."""

from autoops.errors import Conflict
from autoops.loop.context import Context
from autoops.loop.records.ledger import PAGE
from autoops.models.registry import ModelVersion, lost_champion, lost_champion_message


def page_if_lost(context: Context, actor: str) -> str | None:
    """Page once if a promoted version has lost the alias, and return the message; None if none has."""
    lost = lost_champion(context.registry)
    if lost is None:
        return None
    reason = lost_champion_message(lost)
    _page_once(context, lost, reason, actor)
    return reason


def require_none_lost(context: Context) -> None:
    """Require that no promoted version has lost the alias.

    Otherwise the next version would count as a first one, although there is no champion to compare it with.

    Raises:
        Conflict: the alias is gone; the message says how to restore it.
    """
    lost = lost_champion(context.registry)
    if lost is not None:
        raise Conflict(lost_champion_message(lost))


def _page_once(context: Context, lost: ModelVersion, reason: str, actor: str) -> None:
    """Page, unless the last page or promotion in the ledger has this reason."""
    entries = [entry for kind in (PAGE, "promoted") for entry in context.ledger.entries(kind=kind)]
    last = max(entries, key=lambda entry: entry.id, default=None)
    if last is None or last.reason != reason:
        context.ledger.record(PAGE, reason, actor=actor, model_version=lost.number)
