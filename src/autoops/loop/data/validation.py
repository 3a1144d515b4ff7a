"""Whether months may be used: broken data is quarantined, neither trained on nor evidence of drift.

A month is judged by its content, so a corrected file is judged anew. A person may release what is quarantined.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TypedDict

from autoops.errors import BrokenData, Conflict, DataError, NotFound, NotPublished, SourceUnavailable
from autoops.ingestion import quality
from autoops.ingestion.profile import Profile
from autoops.ingestion.quality import LEAST_HISTORY, MOST_HISTORY, FindingRecord, Quality
from autoops.ingestion.store import IngestedMonth
from autoops.loop.context import Context
from autoops.months import Month

logger = logging.getLogger(__name__)

QUARANTINED, RELEASED, INGESTED = "quarantined", "released", "ingested"
ACTOR = "autoops"

Contents = frozenset[tuple[str, str]]
"""Months, each with a content that it had."""


@dataclass(frozen=True)
class MonthQuarantine:
    """Why a month is not used."""

    month: Month
    content: str
    reason: str
    findings: Sequence[FindingRecord]

    def to_json(self) -> Mapping[str, object]:
        """Return what the ledger keeps of it."""
        return asdict(self) | {"month": str(self.month)}


class Judge:
    """Judges months one after the other, and reads the store and the ledger once for all of them.

    Each month is judged against the good months before it. What was found stands until a month before it changes, so
    months that are asked for in order cost one judgement each, however many there are.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stored = {ingested.month: ingested for ingested in context.store.months()}
        self._contents = {kind: set(_contents(context, kind)) for kind in (QUARANTINED, RELEASED, INGESTED)}
        self._found: dict[Month, MonthQuarantine | None] = {}

    def ingest(self, month: Month, actor: str = ACTOR) -> MonthQuarantine | None:
        """Fetch and clean the month, and those before it that a comparison needs; return why it is quarantined.

        A published month that cannot be read (a folder, a broken file), that holds no trips, or of which nothing is
        left, is quarantined too, unless an older edition is here, which stays.
        """
        self._ingest_history(month)
        try:
            self._fetch(month)
        except DataError as error:
            if isinstance(error, NotPublished) and month not in self._context.source.published():
                raise
            if self._context.store.get(month) is None:
                return self._unreadable(month, error, actor)
            logger.warning("%s stays as it was ingested: %s", month, error)
        return self.quarantine_of(month, actor)

    def quarantine_of(self, month: Month, actor: str = ACTOR, incident_id: int | None = None) -> MonthQuarantine | None:
        """Return why an ingested month is not used, None if it may be used, and record it the first time.

        Raises:
            NotPublished: the month has not been ingested.
        """
        ingested = self._stored.get(month)
        if ingested is None:
            raise NotPublished(f"{month} has not been ingested")
        self._note(ingested, actor)
        found = self._judged(ingested, self._history(month))
        if found:
            self._record(found, actor, incident_id)
        return found

    def _fetch(self, month: Month) -> None:
        ingested = self._context.store.ingest(self._context.source, month)
        known = self._stored.get(month)
        self._stored[month] = ingested
        if known is None or known.content != ingested.content:
            self._found = {judged: found for judged, found in self._found.items() if judged < month}

    def _ingest_history(self, month: Month) -> None:
        if sum(stored < month for stored in self._stored) >= LEAST_HISTORY:
            return
        earlier = [published for published in self._context.source.published() if published < month]
        for published in earlier[-LEAST_HISTORY:]:
            with suppress(DataError):  # one month less to compare with
                self._fetch(published)

    def _history(self, before: Month) -> list[Profile]:
        """Return the profiles of the newest good months before a month, each judged against those before it."""
        good: list[Profile] = []
        for month in sorted(stored for stored in self._stored if stored < before):
            if self._judged(self._stored[month], good) is None:
                good = [*good[1 - MOST_HISTORY :], self._stored[month].profile]
        return good

    def _judged(self, ingested: IngestedMonth, history: Sequence[Profile]) -> MonthQuarantine | None:
        month = ingested.month
        if (str(month), ingested.content) in self._contents[RELEASED]:
            return None
        if month not in self._found:
            found = quality.judge(ingested.profile, history, self._context.settings.data.min_kept_share)
            self._found[month] = _quarantine(month, ingested.content, found) if found.findings else None
        return self._found[month]

    def _unreadable(self, month: Month, error: DataError, actor: str) -> MonthQuarantine:
        """Known by what the source says of the file, or by the error where it says nothing."""
        try:
            metadata = json.dumps(asdict(self._context.source.metadata(month)), sort_keys=True)
        except (DataError, SourceUnavailable):
            metadata = str(error)
        content = hashlib.sha256(metadata.encode()).hexdigest()[:16]
        found = _quarantine(month, content, Quality((quality.unreadable(error),), LEAST_HISTORY))
        self._record(found, actor, None, ingested=False)
        return found

    def _record(self, found: MonthQuarantine, actor: str, incident_id: int | None, ingested: bool = True) -> None:
        if self._is_new(QUARANTINED, found.month, found.content):
            reason, evidence = f"{found.month}: {found.reason}", {**found.to_json(), "ingested": ingested}
            self._context.ledger.record(QUARANTINED, reason, actor=actor, incident_id=incident_id, evidence=evidence)

    def _note(self, ingested: IngestedMonth, actor: str) -> None:
        """What cleaning kept of a month and what it dropped, once for each of its contents: the files that say so are
        on another disk than whoever asks."""
        month, content = ingested.month, ingested.content
        if self._is_new(INGESTED, month, content):
            reason = f"{month}: {ingested.rows} of {ingested.rows_read} rows kept"
            counts = {"rows": ingested.rows, "rows_read": ingested.rows_read, "dropped": ingested.dropped}
            evidence = {"month": str(month), "content": content, **counts}
            self._context.ledger.record(INGESTED, reason, actor=actor, evidence=evidence)

    def _is_new(self, kind: str, month: Month, content: str) -> bool:
        """Whether the ledger has no entry of this kind for this content; from now on it has."""
        known, one = self._contents[kind], (str(month), content)
        if one in known:
            return False
        known.add(one)
        return True


def usable(context: Context, months: Iterable[Month], actor: str = ACTOR) -> list[Month]:
    """Those of the months that are not quarantined, in order; all of them are ingested to find out."""
    return _usable(Judge(context), months, actor)


def _usable(judge: Judge, months: Iterable[Month], actor: str) -> list[Month]:
    return [month for month in sorted(months) if judge.ingest(month, actor) is None]


def newest_usable(context: Context, months: Sequence[Month], count: int, actor: str = ACTOR) -> list[Month]:
    """The newest `count` months that are not quarantined, older ones in the place of those that are."""
    found: list[Month] = []
    judge = Judge(context)
    while months and len(found) < count:
        missing = count - len(found)
        found = _usable(judge, months[-missing:], actor) + found
        months = months[:-missing]
    return found


def usable_months(context: Context) -> list[Month]:
    """Published months, but for those that are known to be quarantined; fetches none."""
    stored = {ingested.month: ingested.content for ingested in context.store.months()}
    broken = _contents(context, QUARANTINED) - _contents(context, RELEASED)
    return [month for month in context.source.published() if (str(month), stored.get(month)) not in broken]


class KeptShares(TypedDict):
    """What cleaning kept of each month's rows."""

    kept_share: dict[str, float]


def validate(context: Context, months: Sequence[Month], actor: str, incident_id: int) -> KeptShares:
    """Require that none of the months is quarantined.

    Raises:
        BrokenData: some are; the message names their findings.
    """
    shares = {}
    broken: list[MonthQuarantine] = []
    judge = Judge(context)
    for month in months:
        found = judge.quarantine_of(month, actor, incident_id)
        broken += [found] if found else []
        ingested = context.store.get(month)
        shares[str(month)] = round(ingested.kept_share, 4) if ingested else 0.0
    if broken:
        raise BrokenData("; ".join(f"{one.month} is quarantined: {one.reason}" for one in broken))
    return {"kept_share": shares}


def release(context: Context, month: Month, reason: str, actor: str) -> None:
    """A person's word that a quarantined month is true: it is used from then on, and is history for later ones.
    Raises NotFound for a month that is not here and Conflict for one that is not quarantined."""
    if context.store.get(month) is None:
        raise NotFound(f"{month} is not in the store: there is nothing that could be used")
    found = Judge(context).quarantine_of(month, actor)
    if found is None:
        raise Conflict(f"{month} is not quarantined")
    context.ledger.record(RELEASED, f"{month}: {reason}", actor=actor, evidence=found.to_json())


def _quarantine(month: Month, content: str, found: Quality) -> MonthQuarantine:
    return MonthQuarantine(month, content, found.reason, [finding.to_json() for finding in found.findings])


def _contents(context: Context, kind: str) -> Contents:
    """Of which the ledger has an entry of this kind."""
    known = (entry.evidence for entry in context.ledger.entries(kind=kind))
    return frozenset((of["month"], of["content"]) for of in known if "content" in of)
