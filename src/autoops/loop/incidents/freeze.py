"""The freeze: a switch that stops everything the loop does without a person.

Its state is the last entry about it in the ledger, which also keeps who set it, when and why.
"""

from typing import Final

from autoops.loop.context import Context
from autoops.loop.decide.policy import Freeze
from autoops.loop.records.ledger import Entry, Ledger

FROZEN: Final = "frozen"
UNFROZEN: Final = "unfrozen"


def frozen(context: Context) -> Freeze | None:
    """Return who froze the loop and why; None if it is not frozen."""
    last = frozen_by(context.ledger)
    return Freeze(last.actor, last.reason) if last else None


def frozen_by(ledger: Ledger) -> Entry | None:
    """Return the ledger entry of the freeze in force; None if the loop is not frozen."""
    last = ledger.latest(1, kinds=(FROZEN, UNFROZEN))
    return last[0] if last and last[0].kind == FROZEN else None


def freeze(context: Context, *, reason: str, actor: str) -> str:
    """Freeze the loop and return the reason in force.

    Checks go on and are recorded; nothing is retrained, promoted or rolled back without a person.
    """
    context.ledger.record(FROZEN, reason, actor=actor)
    return Freeze(actor, reason).reason


def unfreeze(context: Context, *, reason: str, actor: str) -> str:
    """End the freeze, if there is one, and return what is now in force; the next check takes up what waited."""
    if frozen(context) is None:
        return "was not frozen"
    context.ledger.record(UNFROZEN, reason, actor=actor)
    return "no longer frozen: the next check takes up what waited"
