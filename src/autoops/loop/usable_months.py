"""Which published months may be used, as far as that is known without fetching any."""

from autoops.loop.pipeline import Pipeline
from autoops.loop.validation import QUARANTINED, RELEASED
from autoops.months import Month


def usable_months(pipeline: Pipeline) -> list[Month]:
    """Published months, but for those that are known to be quarantined."""
    known = {
        kind: {
            (entry.evidence.get("month"), entry.evidence.get("content")) for entry in pipeline.ledger.entries(kind=kind)
        }
        for kind in (QUARANTINED, RELEASED)
    }
    stored = {ingested.month: ingested.content for ingested in pipeline.store.months()}
    broken = known[QUARANTINED] - known[RELEASED]
    return [month for month in pipeline.source.published() if (str(month), stored.get(month)) not in broken]


def days_in(months: list[Month]) -> int:
    return sum((month.ends_at - month.starts_at).days for month in months)
