"""The hands on the wheel: a switch that stops everything that the loop does by itself.

Its state is the last entry about it in the ledger, so that who threw it, when and why cannot get lost.
"""

from autoops.loop.context import Context
from autoops.loop.decide.policy import Freeze
from autoops.loop.records.ledger import Entry, Ledger

FROZEN, UNFROZEN = "frozen", "unfrozen"


def frozen(context: Context) -> Freeze | None:
    """Who froze the loop and why; None where it runs."""
    last = frozen_by(context.ledger)
    return Freeze(last.actor, last.reason) if last else None


def frozen_by(ledger: Ledger) -> Entry | None:
    """Return the ledger entry of the freeze that holds; None where the loop runs."""
    thrown = [*ledger.entries(kind=FROZEN), *ledger.entries(kind=UNFROZEN)]
    last = max(thrown, key=lambda entry: entry.id, default=None)
    return last if last is not None and last.kind == FROZEN else None


def freeze(context: Context, *, reason: str, actor: str) -> str:
    """Checks go on and are recorded; nothing is retrained, promoted or rolled back by itself. Returns what holds."""
    context.ledger.record(FROZEN, reason, actor=actor)
    return Freeze(actor, reason).reason


def unfreeze(context: Context, *, reason: str, actor: str) -> str:
    """What waited is taken up by the next check. Returns what holds; throws nothing where nothing was frozen."""
    if frozen(context) is None:
        return "was not frozen"
    context.ledger.record(UNFROZEN, reason, actor=actor)
    return "no longer frozen: the next check takes up what waited"
