"""The loop without a champion: before the first version, or because somebody deleted the alias."""

from autoops.errors import Conflict
from autoops.loop.context import Context
from autoops.loop.records.ledger import PAGE
from autoops.models.registry import ModelVersion, lost_champion, lost_champion_message


def page_if_lost(context: Context, actor: str) -> str | None:
    """Return what to say of a version that was promoted and is champion no more, and page for it once; None where no
    version was promoted yet."""
    lost = lost_champion(context.registry)
    if lost is None:
        return None
    reason = lost_champion_message(lost)
    _page_once(context, lost, reason, actor)
    return reason


def require_none_lost(context: Context) -> None:
    """Require that no version that was promoted is champion no more: the next one is no first version, and there is
    nothing to compare it with.

    Raises:
        Conflict: the alias is gone; the message says what puts it back.
    """
    lost = lost_champion(context.registry)
    if lost is not None:
        raise Conflict(lost_champion_message(lost))


def _page_once(context: Context, lost: ModelVersion, reason: str, actor: str) -> None:
    """Until a version is promoted again."""
    entries = [entry for kind in (PAGE, "promoted") for entry in context.ledger.entries(kind=kind)]
    last = max(entries, key=lambda entry: entry.id, default=None)
    if last is None or last.reason != reason:
        context.ledger.record(PAGE, reason, actor=actor, model_version=lost.number)
