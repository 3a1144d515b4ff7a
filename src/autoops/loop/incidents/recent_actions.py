"""Recent actions of the loop without a person, from the ledger; the policy waits after them."""

from datetime import datetime

from autoops.loop.context import Context
from autoops.loop.data.traffic_time import traffic_at
from autoops.loop.decide import policy
from autoops.loop.records.ledger import Incident


def recent_actions(context: Context, incidents: list[Incident]) -> policy.RecentActions:
    """Return the traffic time now, and of the last automatic retrainings and rollback; `incidents` are newest first."""
    now = traffic_at(context, context.clock.now())
    return policy.RecentActions(now, _retrained_at(context, incidents), rolled_back_at(context))


def rolled_back_at(context: Context) -> datetime | None:
    """Return the traffic time of the last rollback; None without one, and for one by hand, which postpones nothing."""
    entries = context.ledger.entries(kind="rolled back")
    if not entries or not entries[-1].evidence.get("event_until"):
        return None
    return traffic_at(context, entries[-1].at) or datetime.fromisoformat(entries[-1].evidence["event_until"])


def _retrained_at(context: Context, incidents: list[Incident]) -> list[datetime]:
    """Return the starts of the last automatic retrainings in traffic time, as many as the budget asks about.

    Repeated retrainings of one incident count once.
    """
    # Reversed, so that of several begins of one incident the first stays.
    begun = {
        entry.incident_id: entry.at
        for entry in reversed(context.ledger.entries(kind="retraining begun"))
        if entry.evidence.get("automatic")
    }
    most = max(1, context.settings.training.most_per_week)
    some = [incident for incident in incidents if incident.id in begun][:most]
    moments = [traffic_at(context, begun[incident.id]) or incident.evidence_end for incident in some]
    return [moment for moment in moments if moment]
