"""Whether months may be used: broken data is quarantined, neither trained on nor evidence of drift.

A month is judged by its content, so a corrected file is judged anew. A person may release what is quarantined.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from autoops.errors import BrokenData, Conflict, DataError, EmptyMonth, NotFound, NotPublished, SchemaError
from autoops.ingestion import quality
from autoops.ingestion.profile import Profile
from autoops.ingestion.quality import LEAST_HISTORY, MOST_HISTORY, Quality
from autoops.ingestion.store import IngestedMonth
from autoops.loop.pipeline import Pipeline
from autoops.months import Month, parse_months

QUARANTINED, RELEASED, INGESTED = "quarantined", "released", "ingested"
ACTOR = "autoops"

Contents = frozenset[tuple[str, str]]
"""Months, each with a content that it had."""


@dataclass(frozen=True)
class Quarantine:
    """Why a month is not used."""

    month: Month
    content: str
    reason: str
    findings: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"month": str(self.month)}


def quarantine_of(
    pipeline: Pipeline, month: Month, actor: str = ACTOR, incident_id: int | None = None
) -> Quarantine | None:
    """None for an ingested month that may be used. The first time that its content is found broken is recorded.
    Raises NotPublished for a month that has not been ingested."""
    ingested = pipeline.store.get(month)
    if ingested is None:
        raise NotPublished(f"{month} has not been ingested")
    _note(pipeline, ingested, actor)
    found = _judged(pipeline, ingested, _history(pipeline, month), _contents(pipeline, RELEASED))
    if found:
        _record(pipeline, found, actor, incident_id)
    return found


def ingest(pipeline: Pipeline, month: Month, actor: str = ACTOR) -> Quarantine | None:
    """Fetches and cleans the month, and those before it that a comparison needs, and says whether it is quarantined.
    So is one that cannot be read as trips or of which nothing is left, unless an older edition is here, which stays."""
    _ingest_history(pipeline, month)
    try:
        pipeline.store.ingest(pipeline.source, month)
    except (EmptyMonth, SchemaError) as error:
        if pipeline.store.get(month) is None:
            return _unreadable(pipeline, month, error, actor)
    return quarantine_of(pipeline, month, actor)


def usable(pipeline: Pipeline, months: Iterable[Month], actor: str = ACTOR) -> list[Month]:
    """Those of the months that are not quarantined, in order; all of them are ingested to find out."""
    return [month for month in sorted(months) if ingest(pipeline, month, actor) is None]


def newest_usable(pipeline: Pipeline, months: Sequence[Month], count: int, actor: str = ACTOR) -> list[Month]:
    """The newest `count` months that are not quarantined, older ones in the place of those that are."""
    found: list[Month] = []
    while months and len(found) < count:
        missing = count - len(found)
        found = usable(pipeline, months[-missing:], actor) + found
        months = months[:-missing]
    return found


def usable_months(pipeline: Pipeline) -> list[Month]:
    """Published months, but for those that are known to be quarantined; fetches none."""
    stored = {ingested.month: ingested.content for ingested in pipeline.store.months()}
    broken = _contents(pipeline, QUARANTINED) - _contents(pipeline, RELEASED)
    return [month for month in pipeline.source.published() if (str(month), stored.get(month)) not in broken]


def validate(pipeline: Pipeline, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Raises BrokenData, naming the findings, where months of the plan are quarantined."""
    shares = {}
    broken: list[Quarantine] = []
    for month in parse_months(plan["months"]):
        found = quarantine_of(pipeline, month, plan["actor"], plan["incident_id"])
        broken += [found] if found else []
        ingested = pipeline.store.get(month)
        shares[str(month)] = round(ingested.kept_share, 4) if ingested else 0.0
    if broken:
        raise BrokenData("; ".join(f"{one.month} is quarantined: {one.reason}" for one in broken))
    return {"kept_share": shares}


def release(pipeline: Pipeline, month: Month, reason: str, actor: str) -> None:
    """A person's word that a quarantined month is true: it is used from then on, and is history for later ones.
    Raises NotFound for a month that is not here and Conflict for one that is not quarantined."""
    if pipeline.store.get(month) is None:
        raise NotFound(f"{month} is not in the store: there is nothing that could be used")
    found = quarantine_of(pipeline, month, actor)
    if found is None:
        raise Conflict(f"{month} is not quarantined")
    pipeline.ledger.record(RELEASED, f"{month}: {reason}", actor=actor, evidence=found.to_json())


def _judged(
    pipeline: Pipeline, ingested: IngestedMonth, history: Sequence[Profile], released: Contents
) -> Quarantine | None:
    if (str(ingested.month), ingested.content) in released:
        return None
    found = quality.judge(ingested.profile, history, pipeline.settings.data.min_kept_share)
    return _quarantine(ingested.month, ingested.content, found) if found.findings else None


def _quarantine(month: Month, content: str, found: Quality) -> Quarantine:
    return Quarantine(month, content, found.reason, [finding.to_json() for finding in found.findings])


def _history(pipeline: Pipeline, before: Month) -> list[Profile]:
    """The good months of the store before a month, each judged against those before it."""
    released = _contents(pipeline, RELEASED)
    good: list[Profile] = []
    for ingested in pipeline.store.months():
        if ingested.month < before and _judged(pipeline, ingested, good[-MOST_HISTORY:], released) is None:
            good.append(ingested.profile)
    return good


def _ingest_history(pipeline: Pipeline, month: Month) -> None:
    if sum(ingested.month < month for ingested in pipeline.store.months()) >= LEAST_HISTORY:
        return
    earlier = [published for published in pipeline.source.published() if published < month]
    for published in earlier[-LEAST_HISTORY:]:
        with suppress(DataError):  # one month less to compare with
            pipeline.store.ingest(pipeline.source, published)


def _unreadable(pipeline: Pipeline, month: Month, error: EmptyMonth | SchemaError, actor: str) -> Quarantine:
    """Known by what the source says of the file."""
    stamp = json.dumps(asdict(pipeline.source.stamp(month)), sort_keys=True)
    content = hashlib.sha256(stamp.encode()).hexdigest()[:16]
    found = _quarantine(month, content, Quality((quality.unreadable(error),), LEAST_HISTORY))
    _record(pipeline, found, actor, None)
    return found


def _record(pipeline: Pipeline, found: Quarantine, actor: str, incident_id: int | None) -> None:
    if (str(found.month), found.content) not in _contents(pipeline, QUARANTINED):
        reason = f"{found.month}: {found.reason}"
        pipeline.ledger.record(QUARANTINED, reason, actor=actor, incident_id=incident_id, evidence=found.to_json())


def _note(pipeline: Pipeline, ingested: IngestedMonth, actor: str) -> None:
    """What cleaning kept of a month and what it dropped, once for each of its contents: the files that say so are on
    another disk than whoever asks."""
    month, content = str(ingested.month), ingested.content
    if (month, content) in _contents(pipeline, INGESTED):
        return
    reason = f"{month}: {ingested.rows} of {ingested.rows_read} rows kept"
    counts = {"rows": ingested.rows, "rows_read": ingested.rows_read, "dropped": ingested.dropped}
    pipeline.ledger.record(INGESTED, reason, actor=actor, evidence={"month": month, "content": content, **counts})


def _contents(pipeline: Pipeline, kind: str) -> Contents:
    """Of which the ledger has an entry of this kind."""
    known = (entry.evidence for entry in pipeline.ledger.entries(kind=kind))
    return frozenset((of["month"], of["content"]) for of in known if "content" in of)
