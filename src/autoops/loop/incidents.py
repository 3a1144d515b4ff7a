"""From verdicts to incidents, and from incidents to retrainings that may start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from autoops.drift.verdict import DriftVerdict
from autoops.loop import policy
from autoops.loop.checks import JUDGED
from autoops.loop.controls import frozen
from autoops.loop.ledger import Incident
from autoops.loop.pipeline import Pipeline
from autoops.loop.retraining import ACTION, reaches
from autoops.loop.validation import QUARANTINED, RELEASED
from autoops.loop.windows import promoted_at
from autoops.months import Month, parse_months
from autoops.registry import ModelVersion

ACTOR = "drift_monitor"
ASK_AGAIN_AFTER = timedelta(minutes=15)
"""A retraining that was asked for and not begun is asked for again after this long (wall time)."""


PAGE, BROKEN = "page", "broken data"


@dataclass(frozen=True)
class Remedy:
    incident: Incident
    decision: policy.Decision


class Response(NamedTuple):
    """`incident_id` is the incident that is new or stands."""

    action: policy.Action
    incident_id: int | None
    reason: str


def respond(
    pipeline: Pipeline,
    champion: ModelVersion,
    verdict: DriftVerdict,
    check_id: int,
    cause: Callable[[], Mapping[str, Any]] = dict,
) -> Response:
    """Acts on what the policy decides about the verdict just recorded; asks for the cause of a new incident."""
    decision = decision_on(pipeline, champion, verdict)
    if verdict.verdict not in JUDGED:
        return Response(decision.action, None, decision.reason)
    if decision.action == "nothing":
        return Response("nothing", None, decision.reason)
    if decision.action == "open incident":
        evidence = {"check_id": check_id, "verdict": verdict.to_json(), "cause": dict(cause())}
        incident_id = _open(pipeline, champion, verdict, decision, evidence)
        return Response("open incident", incident_id, decision.reason)
    standing = _standing(pipeline.ledger.incidents())
    kind, version = f"policy: {decision.action}", champion.number
    pipeline.ledger.record(kind, decision.reason, actor=ACTOR, incident_id=standing, model_version=version)
    return Response(decision.action, standing if decision.action == "incident stands" else None, decision.reason)


def decision_on(
    pipeline: Pipeline, champion: ModelVersion, verdict: DriftVerdict, *, recorded: bool = True
) -> policy.Decision:
    """What the policy says to a verdict, which counts as the newest whether it is `recorded` or not; writes nothing."""
    if verdict.verdict not in JUDGED:
        return policy.unjudged(verdict.verdict, verdict.reason)
    windows = _judged_windows(pipeline, champion)
    if not recorded and verdict.event_from and verdict.event_until:
        windows = [policy.JudgedWindow(verdict.alarm, verdict.event_from, verdict.event_until), *windows]
    incidents = pipeline.ledger.incidents()
    past = [incident for incident in incidents if incident.kind == "drift"]
    return policy.decide(
        windows,
        _standing(incidents),
        past[0].holds_from if past else None,
        pipeline.settings.drift,
        retrained_until=_retrained_until(pipeline, champion, past),
        rolled_back_at=_rolled_back_at(pipeline),
    )


def _standing(incidents: list[Incident]) -> int | None:
    return next((one.id for one in incidents if one.kind == "drift" and one.status != "closed"), None)


def _judged_windows(pipeline: Pipeline, champion: ModelVersion) -> list[policy.JudgedWindow]:
    """Of the champion's reign, newest first. What two checks at a time have judged both counts once."""
    limit = 2 * pipeline.settings.drift.alarms_of
    checks = pipeline.checks.latest(champion.number, since=promoted_at(champion), judged=True, limit=limit)
    windows = (
        policy.JudgedWindow(c.alarm, c.event_from, c.event_until) for c in checks if c.event_from and c.event_until
    )
    return list(dict.fromkeys(windows))


def _open(
    pipeline: Pipeline,
    champion: ModelVersion,
    verdict: DriftVerdict,
    decision: policy.Decision,
    evidence: Mapping[str, Any],
) -> int:
    return pipeline.ledger.open_incident(
        "drift",
        f"{verdict.reason} ({decision.reason})",
        actor=ACTOR,
        model_version=champion.number,
        holds_from=decision.holds_from,
        evidence_until=decision.evidence_until,
        evidence=evidence,
    )


def _retrained_until(pipeline: Pipeline, champion: ModelVersion, past: list[Incident]) -> datetime | None:
    """The end of the months that the last retraining for an incident of this champion was given."""
    own = [incident.id for incident in past if incident.model_version == champion.number]
    begun = pipeline.ledger.entries(incident_id=own[0], kind="retraining begun") if own else []
    return parse_months(begun[-1].evidence["months"])[-1].ends_at if begun else None


def _rolled_back_at(pipeline: Pipeline) -> datetime | None:
    """Event time; of a rollback by hand nothing is known in event time, and nothing is held up."""
    moments = [entry.evidence.get("event_until") for entry in pipeline.ledger.entries(kind="rolled back")]
    return datetime.fromisoformat(moments[-1]) if moments and moments[-1] else None


def remedies(pipeline: Pipeline) -> list[Remedy]:
    """What each drift incident that nobody has taken up would get now, newest first; writes nothing."""
    incidents = pipeline.ledger.incidents()
    unclaimed = [
        incident
        for incident in incidents
        if incident.kind == "drift"
        and incident.status != "closed"
        and pipeline.ledger.holder(incident.id, ACTION) is None
    ]
    if not unclaimed:
        return []
    published, held = _usable(pipeline), frozen(pipeline)
    cooldown_days, most = pipeline.settings.drift.cooldown_days, pipeline.settings.training.most_per_week
    lately = policy.Lately(_newest_judged(pipeline), _retrained_at(pipeline, incidents), _rolled_back_at(pipeline))
    found = []
    for incident in unclaimed:
        decision = policy.remedy(reaches(published, incident.evidence_until), held, lately, cooldown_days, most)
        if decision.action == "wait for data":
            newest = str(published[-1]) if published else "none"
            reach = f"evidence reaches {incident.evidence_until:%Y-%m-%d}"
            reason = f"{reach}, the newest published month that may be used is {newest}"
            decision = policy.Decision(decision.action, reason)
        found.append(Remedy(incident, decision))
    return found


def actionable(pipeline: Pipeline) -> list[int]:
    """Incidents for which a retraining should start now; why the others wait is left in the ledger."""
    ready = []
    for remedy in remedies(pipeline):
        incident, decision = remedy.incident, remedy.decision
        if decision.action == "wait for data":
            pipeline.ledger.set_status(incident.id, "waiting_for_data", decision.reason, actor=ACTOR)
            continue
        pipeline.ledger.set_status(incident.id, "open", "the month that it waited for is published", actor=ACTOR)
        if decision.action != "retrain":
            _say_once(
                pipeline,
                incident.id,
                PAGE if decision.action == PAGE else f"policy: {decision.action}",
                decision.reason,
            )
        elif not _asked_lately(pipeline, incident.id):
            pipeline.ledger.record("retraining asked for", incident.reason, actor=ACTOR, incident_id=incident.id)
            ready.append(incident.id)
    return ready


def _usable(pipeline: Pipeline) -> list[Month]:
    """Published months, but for those that are known to be quarantined; fetches none to find out."""
    known = {
        kind: {
            (entry.evidence.get("month"), entry.evidence.get("content")) for entry in pipeline.ledger.entries(kind=kind)
        }
        for kind in (QUARANTINED, RELEASED)
    }
    stored = {ingested.month: ingested.content for ingested in pipeline.store.months()}
    broken = known[QUARANTINED] - known[RELEASED]
    return [month for month in pipeline.source.published() if (str(month), stored.get(month)) not in broken]


def _retrained_at(pipeline: Pipeline, incidents: list[Incident]) -> list[datetime]:
    """In event time, the incidents on which a retraining began by itself; again on the same one is the same."""
    begun = {
        entry.incident_id
        for entry in pipeline.ledger.entries(kind="retraining begun")
        if entry.evidence.get("automatic")
    }
    return [incident.evidence_until for incident in incidents if incident.id in begun and incident.evidence_until]


def _newest_judged(pipeline: Pipeline) -> datetime | None:
    """Event time up to which anything was judged."""
    return max((c.event_until for c in pipeline.checks.latest(judged=True, limit=10) if c.event_until), default=None)


def _say_once(pipeline: Pipeline, incident_id: int, kind: str, reason: str) -> None:
    """A page once per incident, everything else once per reason."""
    said = pipeline.ledger.entries(incident_id=incident_id, kind=kind)
    if not said or (kind != PAGE and said[-1].reason != reason):
        pipeline.ledger.record(kind, reason, actor=ACTOR, incident_id=incident_id)


def _asked_lately(pipeline: Pipeline, incident_id: int) -> bool:
    asked = pipeline.ledger.entries(incident_id=incident_id, kind="retraining asked for")
    return bool(asked) and asked[-1].at > pipeline.clock.now() - ASK_AGAIN_AFTER
