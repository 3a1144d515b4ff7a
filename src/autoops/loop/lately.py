"""What the loop has done by itself of late, from the ledger and the checks: the policy holds back by it."""

from datetime import datetime

from autoops.loop import policy
from autoops.loop.ledger import Incident
from autoops.loop.pipeline import Pipeline


def lately(pipeline: Pipeline, incidents: list[Incident]) -> policy.Lately:
    return policy.Lately(_newest_judged(pipeline), _retrained_at(pipeline, incidents), rolled_back_at(pipeline))


def rolled_back_at(pipeline: Pipeline) -> datetime | None:
    """Event time; of a rollback by hand nothing is known in event time, and nothing is held up."""
    moments = [entry.evidence.get("event_until") for entry in pipeline.ledger.entries(kind="rolled back")]
    return datetime.fromisoformat(moments[-1]) if moments and moments[-1] else None


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
