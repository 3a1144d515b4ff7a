"""What the loop has done by itself of late, from the ledger: the policy holds back by it."""

from datetime import datetime

from autoops.loop.context import Pipeline
from autoops.loop.data.traffic_time import traffic_at
from autoops.loop.decide import policy
from autoops.loop.records.ledger import Incident


def lately(pipeline: Pipeline, incidents: list[Incident]) -> policy.Lately:
    now = traffic_at(pipeline, pipeline.clock.now())
    return policy.Lately(now, _retrained_at(pipeline, incidents), rolled_back_at(pipeline))


def rolled_back_at(pipeline: Pipeline) -> datetime | None:
    """Traffic time of the last rollback; one by hand holds nothing up."""
    entries = pipeline.ledger.entries(kind="rolled back")
    if not entries or not entries[-1].evidence.get("event_until"):
        return None
    return traffic_at(pipeline, entries[-1].at) or datetime.fromisoformat(entries[-1].evidence["event_until"])


def _retrained_at(pipeline: Pipeline, incidents: list[Incident]) -> list[datetime]:
    """In traffic time, when the last retrainings began by themselves, as many as the budget asks about; again on the
    same incident is the same."""
    begun = {
        entry.incident_id: entry.at
        for entry in reversed(pipeline.ledger.entries(kind="retraining begun"))
        if entry.evidence.get("automatic")
    }
    most = max(1, pipeline.settings.training.most_per_week)
    some = [incident for incident in incidents if incident.id in begun][:most]
    moments = [traffic_at(pipeline, begun[incident.id]) or incident.evidence_until for incident in some]
    return [moment for moment in moments if moment]
