"""What the buttons do: the same functions as the verbs of the command line, each with a reason for the ledger."""

from collections.abc import Callable, Mapping

from autoops.errors import InputError, NotFound
from autoops.loop.context import Context
from autoops.loop.data import validation
from autoops.loop.incidents import freeze
from autoops.loop.promote.promotion import roll_back
from autoops.loop.retrain import approval, retraining
from autoops.months import Month
from autoops.web.answers import number

Form = Mapping[str, str]

Retrain = Callable[[str], str]
"""Starts a retraining by hand for a reason; returns a sentence on it."""

CONFIRM_S = 30
"""Seconds that a promotion waits until every instance serves the version."""


def act(context: Context, verb: str, form: Form, actor: str, retrain: Retrain | None) -> str:
    """Do what a button says, and return a sentence on it.

    Raises:
        InputError: the form lacks the reason or a number.
        NotFound: there is no such action.
        AutoOpsError: it could not be done; the message says why.
    """
    reason = form.get("reason", "").strip()
    if not reason and verb != "unfreeze":
        raise InputError("say why: the reason stands in the ledger")
    match verb:
        case "freeze":
            return f"Frozen: {freeze.freeze(context, reason=reason, actor=actor)}"
        case "unfreeze":
            return f"Unfrozen: {freeze.unfreeze(context, reason=reason, actor=actor)}"
        case "close":
            incident = _number(form, "incident")
            return f"Incident {incident}: {approval.close_by_hand(context, incident, reason=reason, actor=actor)}"
        case "approve":
            done = approval.approve(context, _number(form, "incident"), reason=reason, actor=actor)
            run, promotion = done["plan"], done["promotion"]
            retraining.confirm(context, run, promotion["version"], timeout_s=CONFIRM_S)
            return f"Approved: {retraining.close(context, run, promotion)['outcome']}"
        case "release":
            month = Month.parse(form.get("month", ""))
            validation.release(context, month, reason, actor)
            return f"{month} is released"
        case "roll-back":
            # The version that the page showed: meanwhile another one may have been promoted.
            restored = roll_back(context, reason=reason, actor=actor, expected=_number(form, "expected"))
            return f"Rolled back: version {restored} is champion"
        case "retrain" if retrain is not None:
            return retrain(f"{reason} ({actor})")
    raise NotFound(f"{verb}: there is no such action")


def _number(form: Form, name: str) -> int:
    given = number(form, name)
    if given is None:
        raise InputError(f"{name}: expected a number")
    return given
