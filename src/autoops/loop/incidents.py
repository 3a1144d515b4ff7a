"""From verdicts to incidents, and from incidents to retrainings that may start."""

from datetime import datetime, timedelta

from autoops.drift.verdict import DriftVerdict
from autoops.loop import policy
from autoops.loop.ledger import Incident
from autoops.loop.pipeline import Pipeline
from autoops.loop.retraining import ACTION, reaches
from autoops.loop.windows import promoted_at
from autoops.months import parse_months
from autoops.registry import ModelVersion

ACTOR = "drift_monitor"
ASK_AGAIN_AFTER = timedelta(minutes=15)
"""A retraining that was asked for and not begun is asked for again after this long (wall time)."""


def respond(
    pipeline: Pipeline, champion: ModelVersion, verdict: DriftVerdict, check_id: int
) -> tuple[policy.Action, int | None]:
    """What the policy decides about the verdict just recorded, and the incident that is new or stands."""
    drift = pipeline.settings.drift
    windows = _judged_windows(pipeline, champion)
    past = [incident for incident in pipeline.ledger.incidents() if incident.kind == "drift"]
    standing = next((incident.id for incident in past if incident.status != "closed"), None)
    last_from = past[0].holds_from if past else None
    decision = policy.decide(
        windows,
        standing,
        last_from,
        drift,
        retrained_until=_retrained_until(pipeline, champion, past),
        rolled_back_at=_rolled_back_at(pipeline),
    )
    if decision.action == "nothing":
        return decision.action, None
    if decision.action == "open incident":
        return decision.action, _open(pipeline, champion, verdict, decision, check_id)
    kind, version = f"policy: {decision.action}", champion.number
    pipeline.ledger.record(kind, decision.reason, actor=ACTOR, incident_id=standing, model_version=version)
    return decision.action, standing if decision.action == "incident stands" else None


def _judged_windows(pipeline: Pipeline, champion: ModelVersion) -> list[policy.JudgedWindow]:
    """Of the champion's reign, newest first. What two checks at a time have judged both counts once."""
    limit = 2 * pipeline.settings.drift.alarms_of
    checks = pipeline.checks.latest(champion.number, since=promoted_at(champion), judged=True, limit=limit)
    windows = (
        policy.JudgedWindow(c.alarm, c.event_from, c.event_until) for c in checks if c.event_from and c.event_until
    )
    return list(dict.fromkeys(windows))


def _open(
    pipeline: Pipeline, champion: ModelVersion, verdict: DriftVerdict, decision: policy.Decision, check_id: int
) -> int:
    return pipeline.ledger.open_incident(
        "drift",
        f"{verdict.reason} ({decision.reason})",
        actor=ACTOR,
        model_version=champion.number,
        holds_from=decision.holds_from,
        evidence_until=decision.evidence_until,
        evidence={"check_id": check_id, "verdict": verdict.to_json()},
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


def actionable(pipeline: Pipeline) -> list[int]:
    """Unclaimed drift incidents whose evidence the published months contain; the others wait for data."""
    unclaimed = [
        incident
        for incident in pipeline.ledger.incidents(unresolved=True)
        if incident.kind == "drift" and pipeline.ledger.holder(incident.id, ACTION) is None
    ]
    published = pipeline.source.published() if unclaimed else []
    ready = []
    for incident in unclaimed:
        if not reaches(published, incident.evidence_until):
            newest = str(published[-1]) if published else "none"
            reason = f"evidence reaches {incident.evidence_until:%Y-%m-%d}, the newest published month is {newest}"
            pipeline.ledger.set_status(incident.id, "waiting_for_data", reason, actor=ACTOR)
            continue
        pipeline.ledger.set_status(incident.id, "open", "the month that it waited for is published", actor=ACTOR)
        if not _asked_lately(pipeline, incident.id):
            pipeline.ledger.record("retraining asked for", incident.reason, actor=ACTOR, incident_id=incident.id)
            ready.append(incident.id)
    return ready


def _asked_lately(pipeline: Pipeline, incident_id: int) -> bool:
    asked = pipeline.ledger.entries(incident_id=incident_id, kind="retraining asked for")
    return bool(asked) and asked[-1].at > pipeline.clock.now() - ASK_AGAIN_AFTER
