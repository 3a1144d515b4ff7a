"""Why a version was not promoted, or why an incident has none: one answer from the ledger, in a sentence or two."""

from collections.abc import Sequence
from typing import Literal, TypedDict

from autoops.errors import NotFound
from autoops.loop.context import Context
from autoops.loop.data.validation import QUARANTINED, RELEASED
from autoops.loop.decide import reevaluation
from autoops.loop.promote.promotion import last_recorded
from autoops.loop.records.kinds import POLICY_KINDS, EntryKind
from autoops.loop.records.ledger import Entry, Incident
from autoops.loop.retrain import interim
from autoops.loop.retrain.plan import ACTION, BEGUN, FAILED
from autoops.models.registry import CHAMPION

State = Literal[
    "promoted",
    "rolled back",
    "rejected",
    "inconclusive, waits",
    "inconclusive, given up",
    "superseded",
    "waits for approval",
    "declined",
    "failed",
    "unfinished",
    "waits for data",
    "held up",
    "not begun",
    "closed",
]
ABOUT_VERSIONS: tuple[EntryKind, ...] = ("trained", "gate", BEGUN[1])
MOVES: tuple[EntryKind, ...] = ("promoted", "rolled back")
RUNS = 50
"""Beginnings and failures of an incident's runs that are searched for the one that has it."""


class Answer(TypedDict):
    """Why a version, or a version for an incident, was not promoted; `told` is the answer in words."""

    version: int | None
    incident: int | None
    state: State
    told: str


def of_version(context: Context, number: int) -> Answer:
    """Return why the version was not promoted, or that it was.

    Raises:
        NotFound: neither the ledger nor the registry knows the version.
    """
    move = _last(context, MOVES, model_version=number)
    if move is not None:
        return _moved(context, number, move, _last(context, ("served", "not served"), model_version=number))
    about = _last(context, ABOUT_VERSIONS, model_version=number)
    if about is None or about.incident_id is None:
        context.registry.version(number)
        told = f"version {number} was registered, and no retraining on record has trained it or taken it to the gate"
        return Answer(version=number, incident=None, state="not begun", told=told)
    incident = context.ledger.incident(about.incident_id)
    state, told = _of_challenger(context, number, incident, _last(context, ("gate",), model_version=number))
    return Answer(version=number, incident=incident.id, state=state, told=told)


def version_if_known(context: Context, number: int) -> Answer | None:
    """Return the same, None where the ledger has no such version; the registry need not answer."""
    known = _last(context, (*ABOUT_VERSIONS, *MOVES), model_version=number)
    return of_version(context, number) if known else None


def of_incident(context: Context, incident: Incident) -> Answer:
    """Return what has become of the incident's last version, or why there is none."""
    about = _last(context, (*ABOUT_VERSIONS, "promoted"), incident_id=incident.id)
    if about is not None and about.model_version is not None:
        return of_version(context, about.model_version)
    state, told = _of_run(context, incident, "nothing was trained")
    return Answer(version=None, incident=incident.id, state=state, told=told)


def _last(
    context: Context, kinds: Sequence[EntryKind], *, incident_id: int | None = None, model_version: int | None = None
) -> Entry | None:
    found = context.ledger.latest(1, kinds=kinds, incident_id=incident_id, model_version=model_version)
    return next(iter(found), None)


def _moved(context: Context, number: int, move: Entry, served: Entry | None) -> Answer:
    state: State = "promoted"
    if move.kind == "rolled back":
        state, told = "rolled back", f"version {number} was promoted and rolled back {move.at:%Y-%m-%d %H:%M} UTC"
    elif last_recorded(context) == number:
        told = f"version {number} is champion since {move.at:%Y-%m-%d %H:%M} UTC"
    else:
        told = f"version {number} was promoted {move.at:%Y-%m-%d %H:%M} UTC, and another one has replaced it since"
    told += f": {move.reason}"
    if served is not None and served.kind == "not served":
        told += f"; but not every API instance serves it: {served.reason}"
    return Answer(version=number, incident=move.incident_id, state=state, told=told)


def _of_challenger(context: Context, number: int, incident: Incident, gate: Entry | None) -> tuple[State, str]:
    """Return why a version that was trained or compared is not champion, by the gate's last verdict on it."""
    if gate is None or gate.incident_id != incident.id:
        done = "is to be compared again" if incident.kind == interim.KIND else "was trained, and not judged by the gate"
        return _of_run(context, incident, f"version {number} {done}")
    verdict = gate.evidence
    if verdict["decision"] == "reject":
        return "rejected", f"the gate rejected version {number}: {verdict['reason']}"
    if verdict["decision"] == "inconclusive":
        return _undecided(context, number, gate)
    return _of_run(context, incident, f"the gate would promote version {number}")


def _undecided(context: Context, number: int, gate: Entry) -> tuple[State, str]:
    told = f"the gate could not tell version {number} from what it was compared with: {gate.evidence['reason']}"
    newest, champion = interim.newest_gated(context), context.registry.by_alias(CHAMPION)
    if gate.evidence.get("champion") is None or newest is None:
        return "inconclusive, given up", f"{told}; a first version is not compared again"
    try:
        one = interim.undecided(context, gate, [])
    except NotFound:
        return "inconclusive, given up", f"{told}; it was deleted since"
    against = champion.number if champion else None, newest.model_version or number
    over, due = reevaluation.overtaken(one, *against), reevaluation.re_evaluation_due(one, *against, None)
    if due.action == "nothing":
        return "superseded" if over else "inconclusive, given up", f"{told}; it is not compared again: {due.reason}"
    return (
        "inconclusive, waits",
        f"{told}; it is compared again when {one.days_needed} more days are published than the gate had then",
    )


def _of_run(context: Context, incident: Incident, so_far: str) -> tuple[State, str]:
    """Return what became of the incident's run, or what kept one from beginning; `so_far` is what it reached."""
    if incident.status == "closed":
        ended = _last(context, ("incident closed",), incident_id=incident.id)
        outcome, by = incident.outcome or "no outcome on record", f" by {ended.actor}" if ended else ""
        declined = outcome.startswith("closed by hand")
        return ("declined" if declined else "closed"), f"{so_far}; incident {incident.id} was closed{by}: {outcome}"
    if incident.status == "waiting_for_approval":
        waits = _last(context, ("incident waiting for approval",), incident_id=incident.id)
        told = f"{so_far}; it waits for a person: {waits.reason if waits else 'approval'}"
        return "waits for approval", f'{told}; autoops approve {incident.id} --reason "..." promotes it'
    holder = context.ledger.holder(incident.id, ACTION)
    if holder is not None:
        # A failure of an earlier run says nothing about one that has taken the incident over.
        runs = context.ledger.latest(RUNS, kinds=(*BEGUN, FAILED), incident_id=incident.id)
        own = next((one for one in runs if one.evidence.get("run_id") == holder), None)
        if own is not None and own.kind == FAILED:
            return "failed", f"{so_far}; {own.reason}"
        began = f"has begun {own.at:%Y-%m-%d %H:%M} UTC" if own else "has claimed the incident"
        told = f"{so_far}; run {holder} {began} and not ended: it is at work, or was killed"
        hours = context.settings.training.run_timeout_s / 3600
        return "unfinished", f"{told}; after {hours:.3g} hours it counts as failed: {_next_step(incident.id)}"
    if incident.status == "waiting_for_data":
        waits = _last(context, ("incident waiting for data",), incident_id=incident.id)
        return "waits for data", f"{so_far}; it waits for data: {waits.reason if waits else ''}{_quarantined(context)}"
    held = _last(context, (*POLICY_KINDS.values(), "retraining asked for"), incident_id=incident.id)
    if held is not None and held.kind != "retraining asked for":
        return "held up", f"{so_far}; {held.reason}"
    asked = "; a retraining was asked for and has not begun: is Airflow running?" if held else ", and no run has begun"
    return "not begun", f"{so_far}{asked}; {_next_step(incident.id)}"


def _next_step(number: int) -> str:
    return f'autoops retrain --incident {number} takes it up, autoops close {number} --reason "..." ends it'


def _quarantined(context: Context) -> str:
    """Return the last month that is kept from training as broken data, as the end of a sentence."""
    released = {entry.evidence.get("content") for entry in context.ledger.entries(kind=RELEASED)}
    kept = [one for one in context.ledger.entries(kind=QUARANTINED) if one.evidence.get("content") not in released]
    return f"; {kept[-1].reason}" if kept else ""
