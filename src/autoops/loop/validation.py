"""Whether ingested months may be used: broken data is never trained on."""

from collections.abc import Mapping
from typing import Any

from autoops.errors import BrokenData, NotPublished
from autoops.loop.pipeline import Pipeline
from autoops.months import parse_months


def validate(pipeline: Pipeline, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Raises BrokenData for a month of which cleaning kept too little; it is never trained on."""
    shares = {}
    least = pipeline.settings.data.min_kept_share
    for month in parse_months(plan["months"]):
        ingested = pipeline.store.get(month)
        if ingested is None:
            raise NotPublished(f"{month} has not been ingested")
        shares[str(month)] = round(ingested.kept_share, 4)
        if ingested.kept_share < least:
            reason = (
                f"{month}: cleaning kept {ingested.kept_share:.1%} of {ingested.rows_read} rows, "
                f"data.min_kept_share is {least:.0%}; dropped: {ingested.dropped}"
            )
            pipeline.ledger.record(
                "quarantined", reason, actor=plan["actor"], incident_id=plan["incident_id"], evidence=shares
            )
            raise BrokenData(reason)
    return {"kept_share": shares}
