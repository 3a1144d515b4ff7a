"""Moves of the champion alias: by the gate, by hand or by a rollback. Every move is in the ledger.

Each check compares the alias with the ledger. A move by Auto-Ops that broke off before its entry gets one, and so does
a move that was made in MLflow.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

from autoops.errors import BundleError, Conflict, NotFound, RegistryUnavailable
from autoops.loop.context import Context
from autoops.loop.records.ledger import PAGE
from autoops.models.bundle_cache import fetch_bundle
from autoops.models.registry import CHALLENGER, CHAMPION, PREVIOUS, PROMOTED_AT, ModelVersion, champion_of
from autoops.telemetry import tracing

logger = logging.getLogger(__name__)

ROLLED_BACK, GATE_DECISION = "rolled_back", "gate_decision"
PROMOTION = "promotion"
"""The tag that holds, as JSON, the ledger entry of a promotion; it is set before the alias moves."""
UNKNOWN = "unknown"
"""The actor of a move in MLflow."""
COMPARED: Final = "compared with previous"
"""The ledger kind of a comparison by the post-promotion check; an automatic rollback follows from one."""
_LONGEST_REASON = 2_000
"""Characters; MLflow takes tags of 5,000."""
MOVE = "champion-alias"
"""The lock under which a process reads and moves the alias: MLflow has no compare-and-set."""


def promote_version(
    context: Context,
    number: int,
    *,
    reason: str,
    actor: str,
    incident_id: int | None = None,
    replaces: int | None = None,
) -> None:
    """Point `champion` at the version and `previous` at the version that it replaces; a repeat changes nothing.

    `replaces` is the version that the gate compared with, None where any may be replaced.

    Raises:
        Conflict: another version than `replaces` is champion by now.
        NotFound: there is no such version.
    """
    with context.ledger.advisory_lock(MOVE):
        _promote(context, number, reason, actor, incident_id, replaces)


def _promote(
    context: Context, number: int, reason: str, actor: str, incident_id: int | None, replaces: int | None
) -> None:
    champion = context.registry.by_alias(CHAMPION)
    if champion is not None and champion.number == number:
        # The alias was moved by a call that ended before its ledger entry.
        if last_recorded(context) != number and not _finish_promotion(context, champion):
            _record_promotion(context, number, reason, actor, incident_id, {"replaces": replaces})
        return
    if replaces is not None and (champion is None or champion.number != replaces):
        now = "nobody" if champion is None else f"version {champion.number}"
        raise Conflict(f"version {number} was compared with version {replaces}, but champion is {now} by now")
    # Raises NotFound before anything is changed.
    context.registry.version(number)
    now, replaced = context.clock.now().isoformat(), champion.number if champion else None
    told = {"reason": reason[:_LONGEST_REASON], "actor": actor, "incident_id": incident_id}
    told |= {"replaces": replaced, "at": now}
    _move(context, champion, number, {PROMOTED_AT: now, PROMOTION: json.dumps(told)})
    _record_promotion(context, number, reason, actor, incident_id, {"replaces": replaced, "began_at": now})


def described(what: str, reason: str, incident_id: int | None) -> str:
    """Return what became of a version, for its page in MLflow."""
    more = f" (incident {incident_id}: `autoops explain {incident_id}`)" if incident_id is not None else ""
    return f"**{what}**: {reason}{more}"


def _record_promotion(
    context: Context, number: int, reason: str, actor: str, incident_id: int | None, evidence: Mapping[str, Any]
) -> None:
    context.ledger.record(
        "promoted",
        reason,
        actor=actor,
        incident_id=incident_id,
        model_version=number,
        evidence=evidence,
    )
    _show(context, number, described("Promoted", reason, incident_id))


def _show(context: Context, number: int, text: str) -> None:
    """Say in MLflow what became of a version; the move is complete without it."""
    try:
        context.registry.describe(number, text)
        context.registry.take_alias(CHALLENGER, number)
    except RegistryUnavailable as error:
        logger.warning("MLflow does not show what became of version %s: %s", number, error)


def last_recorded(context: Context) -> int | None:
    """Return the champion according to the ledger; None before the first move."""
    last = context.ledger.latest(1, kinds=("promoted", "rolled back"))
    if not last:
        return None
    return last[0].evidence["restored"] if last[0].kind == "rolled back" else last[0].model_version


@tracing.span("roll_back")
def roll_back(
    context: Context,
    *,
    reason: str,
    actor: str,
    expected: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> int:
    """Point `champion` back at `previous`, tag the version that leaves, close its incidents, return the restored one.

    A version that was itself rolled back is not restored. A rollback that broke off before its ledger entry is
    completed instead. `expected` is the version to roll back. `evidence` is that of an automatic rollback, which pages
    a person.

    Raises:
        Conflict: another version than `expected` is champion by now, or the previous version was rolled back itself.
        NotFound: there is no champion or no previous version.
    """
    with context.ledger.advisory_lock(MOVE):
        if _finish(context, actor):
            return champion_of(context.registry).number
        return _roll_back(context, reason, actor, expected, evidence or {})


def reconcile(context: Context, actor: str) -> None:
    """Record a move of the alias that the ledger does not have.

    It is a rollback or a promotion that broke off between the move and its entry, or a move in MLflow.
    """
    with context.ledger.advisory_lock(MOVE):
        champion = context.registry.by_alias(CHAMPION)
        if champion is None or last_recorded(context) == champion.number:
            return
        if not (_finish(context, actor) or _finish_promotion(context, champion)):
            _note_foreign_move(context, champion)


def _finish_promotion(context: Context, champion: ModelVersion) -> bool:
    """Record the champion's promotion from its tag; False where no promotion of it broke off."""
    begun = json.loads(champion.tags.get(PROMOTION, "{}"))
    # Every later move sets PROMOTED_AT anew, and then the tag is about an earlier tenure.
    if not begun or begun["at"] != champion.tags.get(PROMOTED_AT) or begun["replaces"] != last_recorded(context):
        return False
    number = champion.number
    known = context.ledger.entries(kind="promoted", model_version=number)
    # On record already: since then the alias was moved away and back in MLflow.
    if any(entry.evidence.get("began_at") == begun["at"] for entry in known):
        return False
    evidence = {"replaces": begun["replaces"], "began_at": begun["at"]}
    _record_promotion(context, number, begun["reason"], begun["actor"], begun["incident_id"], evidence)
    return True


def _note_foreign_move(context: Context, champion: ModelVersion) -> None:
    """Record a move in MLflow, so that the version gets the post-promotion check of any other promotion.

    It is compared with the version that it replaced, on what it has predicted since the last check.
    """
    left = last_recorded(context)
    number, before = champion.number, context.checks.latest()
    began_at = before[0].checked_at if before else context.clock.now()
    context.registry.tag(number, {PROMOTED_AT: began_at.isoformat()})
    if left is not None:
        context.registry.set_alias(PREVIOUS, left)
    doubts = _doubts(context, champion)
    moved = f"from version {left} to version {number}" if left is not None else f"to version {number}"
    reason = f"the alias champion was moved {moved} in MLflow, not by Auto-Ops" + "".join(f"; {one}" for one in doubts)
    evidence = {"replaces": left, "outside": True, "doubts": doubts}
    _record_promotion(context, number, reason, UNKNOWN, None, evidence)


def _doubts(context: Context, champion: ModelVersion) -> list[str]:
    """Return what speaks against a version that was made champion in MLflow."""
    number, gate = champion.number, champion.tags.get(GATE_DECISION)
    found = []
    if gate != "promote":
        found.append(f"version {number} did not pass the gate ({gate or 'it was never there'})")
    if ROLLED_BACK in champion.tags:
        found.append(f"version {number} was rolled back before: {champion.tags[ROLLED_BACK]}")
    try:
        fetch_bundle(context.registry, champion, context.model_cache)
    except BundleError as error:
        found.append(f"version {number} cannot be served, and is not watched: {error}")
    return found


def _finish(context: Context, actor: str) -> bool:
    """Complete a rollback that broke off after it had moved `champion`; return whether there was one."""
    champion, previous = (context.registry.by_alias(alias) for alias in (CHAMPION, PREVIOUS))
    number = last_recorded(context)
    # The tag stays after a complete rollback, but then the ledger has it, too.
    if champion is None or previous is None or number is None or champion.number == number:
        return False
    # It broke off before or after `previous` was moved to the version that leaves.
    if previous.number not in (champion.number, number):
        return False
    left = next((version for version in context.registry.versions() if version.number == number), None)
    if left is None or ROLLED_BACK not in left.tags:
        return False
    context.registry.set_alias(PREVIOUS, number)
    evidence = {"restored": champion.number, **_found_wrong(context, left)}
    _record_rollback(context, left.number, left.tags[ROLLED_BACK], actor, evidence)
    return True


def _found_wrong(context: Context, left: ModelVersion) -> Mapping[str, str]:
    """Return the evidence of an automatic rollback; empty for one by hand."""
    # The tag has the reason alone; a comparison with the same one tells an automatic rollback.
    compared = context.ledger.entries(kind=COMPARED, model_version=left.number)
    wrong = [entry.evidence for entry in compared if entry.reason == left.tags[ROLLED_BACK]]
    return {"event_until": wrong[-1]["event_until"]} if wrong else {}


def _roll_back(context: Context, reason: str, actor: str, expected: int | None, evidence: Mapping[str, Any]) -> int:
    champion = champion_of(context.registry)
    if expected is not None and champion.number != expected:
        raise Conflict(f"version {expected} was to be rolled back, but champion is version {champion.number} by now")
    previous = context.registry.by_alias(PREVIOUS)
    if previous is None or previous.number == champion.number:
        raise NotFound(f"version {champion.number} replaced nothing: there is no previous version to roll back to")
    if ROLLED_BACK in previous.tags:
        raise Conflict(f"version {previous.number} was rolled back itself ({previous.tags[ROLLED_BACK]}); promote one")
    # Before the alias moves: `_finish` knows a rollback that broke off by this tag.
    context.registry.tag(champion.number, {ROLLED_BACK: reason})
    context.registry.tag(previous.number, {PROMOTED_AT: context.clock.now().isoformat()})
    # `champion` first: after a kill in between, the bad version is out already, and `_finish` knows it by the ledger.
    context.registry.set_alias(CHAMPION, previous.number)
    context.registry.set_alias(PREVIOUS, champion.number)
    _record_rollback(context, champion.number, reason, actor, {"restored": previous.number, **evidence})
    return previous.number


def _record_rollback(context: Context, left: int, reason: str, actor: str, evidence: Mapping[str, Any]) -> None:
    context.ledger.record("rolled back", reason, actor=actor, model_version=left, evidence=evidence)
    _show(context, left, described("Rolled back", reason, None))
    for incident in context.ledger.incidents(unresolved=True):
        if incident.model_version == left:
            context.ledger.close(incident.id, f"version {left} was rolled back: {reason}", actor=actor)
    # Only automatic rollbacks have it: a person needs no page about their own.
    if "event_until" in evidence:
        paged = f"version {left} was rolled back by itself: {reason}"
        context.ledger.record(PAGE, paged, actor=actor, model_version=left, evidence={"repeats": "rolled back"})


def _move(context: Context, champion: ModelVersion | None, number: int, tags: Mapping[str, str]) -> None:
    context.registry.tag(number, tags)
    # `previous` first: after a kill in between, the old champion is still in charge.
    if champion is not None:
        context.registry.set_alias(PREVIOUS, champion.number)
    context.registry.set_alias(CHAMPION, number)
