"""Moving the champion alias, by the gate, by hand or back; every move stands in the ledger."""

from collections.abc import Mapping
from typing import Any

from autoops import tracing
from autoops.errors import Conflict, NotFound
from autoops.loop.ledger import PAGE
from autoops.loop.pipeline import Pipeline
from autoops.registry import CHAMPION, PREVIOUS, PROMOTED_AT, ModelVersion, champion_of

ROLLED_BACK, GATE_DECISION = "rolled_back", "gate_decision"
COMPARED = "compared with previous"
"""The kind of an entry of the watch after a promotion; a rollback by itself follows from one."""
MOVE = "champion-alias"
"""MLflow has no "move it if it still points there": who looks where it points moves it before anybody else looks."""


def promote_version(
    pipeline: Pipeline,
    number: int,
    *,
    reason: str,
    actor: str,
    incident_id: int | None = None,
    replaces: int | None = None,
) -> None:
    """Points `champion` at the version and `previous` at what it replaces; again is harmless.

    `replaces` is the version that the gate compared with: where another is champion by now, Conflict.
    """
    with pipeline.ledger.alone(MOVE):
        _promote(pipeline, number, reason, actor, incident_id, replaces)


def _promote(
    pipeline: Pipeline, number: int, reason: str, actor: str, incident_id: int | None, replaces: int | None
) -> None:
    champion = pipeline.registry.by_alias(CHAMPION)
    if champion is not None and champion.number == number:
        if _last_recorded(pipeline) != number:  # an earlier attempt ended between the move and its record
            _record_promotion(pipeline, number, reason, actor, incident_id, replaces)
        return
    if replaces is not None and (champion is None or champion.number != replaces):
        now = "nobody" if champion is None else f"version {champion.number}"
        raise Conflict(f"version {number} was compared with version {replaces}, but champion is {now} by now")
    pipeline.registry.version(number)
    _move(pipeline, champion, number)
    _record_promotion(pipeline, number, reason, actor, incident_id, champion.number if champion else None)


def _record_promotion(
    pipeline: Pipeline, number: int, reason: str, actor: str, incident_id: int | None, replaced: int | None
) -> None:
    pipeline.ledger.record(
        "promoted",
        reason,
        actor=actor,
        incident_id=incident_id,
        model_version=number,
        evidence={"replaces": replaced},
    )


def _last_recorded(pipeline: Pipeline) -> int | None:
    """The champion that the ledger knows of."""
    moves = [entry for kind in ("promoted", "rolled back") for entry in pipeline.ledger.entries(kind=kind)]
    last = max(moves, key=lambda entry: entry.id, default=None)
    if last is None:
        return None
    return last.evidence["restored"] if last.kind == "rolled back" else last.model_version


@tracing.span("roll_back")
def roll_back(
    pipeline: Pipeline,
    *,
    reason: str,
    actor: str,
    expected: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> int:
    """Puts `previous` back in charge, marks the version that leaves and closes its incidents; returns the restored
    version's number. A version that was itself rolled back is not restored.

    `expected` is the version that was found wrong: where another is champion by now, Conflict. `evidence` is what it
    was found wrong by, where no person said so: then somebody is paged.
    """
    with pipeline.ledger.alone(MOVE):
        if _finish(pipeline, actor):
            return champion_of(pipeline.registry).number
        return _roll_back(pipeline, reason, actor, expected, evidence or {})


def finish_rollback(pipeline: Pipeline, actor: str) -> None:
    """Records a rollback that broke off between the move of the alias and its record, and does nothing else."""
    with pipeline.ledger.alone(MOVE):
        _finish(pipeline, actor)


def _finish(pipeline: Pipeline, actor: str) -> bool:
    champion, left = (pipeline.registry.by_alias(alias) for alias in (CHAMPION, PREVIOUS))
    if champion is None or left is None or champion.number == left.number or ROLLED_BACK not in left.tags:
        return False
    if _last_recorded(pipeline) != left.number:
        return False
    evidence = {"restored": champion.number, **_found_wrong(pipeline, left)}
    _record_rollback(pipeline, left.number, left.tags[ROLLED_BACK], actor, evidence)
    return True


def _found_wrong(pipeline: Pipeline, left: ModelVersion) -> dict[str, Any]:
    """What a rollback by itself followed from; nothing of one by hand."""
    compared = pipeline.ledger.entries(kind=COMPARED, model_version=left.number)
    wrong = [entry.evidence for entry in compared if entry.reason == left.tags[ROLLED_BACK]]
    return {"event_until": wrong[-1]["event_until"]} if wrong else {}


def _roll_back(pipeline: Pipeline, reason: str, actor: str, expected: int | None, evidence: Mapping[str, Any]) -> int:
    champion = champion_of(pipeline.registry)
    if expected is not None and champion.number != expected:
        raise Conflict(f"version {expected} was to be rolled back, but champion is version {champion.number} by now")
    previous = pipeline.registry.by_alias(PREVIOUS)
    if previous is None or previous.number == champion.number:
        raise NotFound(f"version {champion.number} replaced nothing: there is no previous version to roll back to")
    if ROLLED_BACK in previous.tags:
        raise Conflict(f"version {previous.number} was rolled back itself ({previous.tags[ROLLED_BACK]}); promote one")
    pipeline.registry.tag(champion.number, {ROLLED_BACK: reason})
    _move(pipeline, champion, previous.number)
    _record_rollback(pipeline, champion.number, reason, actor, {"restored": previous.number, **evidence})
    return previous.number


def _record_rollback(pipeline: Pipeline, left: int, reason: str, actor: str, evidence: Mapping[str, Any]) -> None:
    pipeline.ledger.record("rolled back", reason, actor=actor, model_version=left, evidence=evidence)
    for incident in pipeline.ledger.incidents(unresolved=True):
        if incident.model_version == left:
            pipeline.ledger.close(incident.id, f"version {left} was rolled back: {reason}", actor=actor)
    if "event_until" in evidence:
        paged = f"version {left} was rolled back by itself: {reason}"
        pipeline.ledger.record(PAGE, paged, actor=actor, model_version=left, evidence={"repeats": "rolled back"})


def _move(pipeline: Pipeline, champion: ModelVersion | None, number: int) -> None:
    pipeline.registry.tag(number, {PROMOTED_AT: pipeline.clock.now().isoformat()})
    if champion is not None:
        pipeline.registry.set_alias(PREVIOUS, champion.number)
    pipeline.registry.set_alias(CHAMPION, number)
