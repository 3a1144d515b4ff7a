"""Data validation of months: broken data is quarantined, and is neither trained on nor evidence of drift.

A month is judged by its content, so a corrected file is judged again. A person may release a quarantined month.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final, TypedDict

from autoops.errors import BrokenData, Conflict, DataError, NotFound, NotPublished, SourceUnavailable
from autoops.ingestion import quality
from autoops.ingestion.profile import Profile
from autoops.ingestion.quality import LEAST_HISTORY, MOST_HISTORY, FindingRecord, Quality
from autoops.ingestion.store import IngestedMonth
from autoops.loop.context import Context
from autoops.loop.records.kinds import EntryKind
from autoops.months import Month

logger = logging.getLogger(__name__)

QUARANTINED: Final = "quarantined"
RELEASED: Final = "released"
INGESTED: Final = "ingested"
ACTOR = "autoops"

Contents = frozenset[tuple[str, str]]
"""Pairs of a month and the digest of a content that it had."""


@dataclass(frozen=True)
class MonthQuarantine:
    """Why a month is not used."""

    month: Month
    content: str
    reason: str
    findings: Sequence[FindingRecord]

    def to_json(self) -> Mapping[str, object]:
        """Return the quarantine as JSON for the ledger."""
        return asdict(self) | {"month": str(self.month)}


class Judge:
    """Judge of months, which reads the store and the ledger once for all of them.

    Each month is compared with the good months before it. A result stands until the month or one before it changes, so
    months that are judged in order cost one judgement each, however many there are.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stored = {ingested.month: ingested for ingested in context.store.months()}
        self._contents = {kind: set(_contents(context, kind)) for kind in (QUARANTINED, RELEASED, INGESTED)}
        self._found: dict[Month, MonthQuarantine | None] = {}

    def ingest(self, month: Month, actor: str = ACTOR) -> MonthQuarantine | None:
        """Fetch and clean the month, and earlier ones that a comparison needs; return why it is quarantined.

        A published month that cannot be read (a folder, a broken file), holds no rows, or has none left after cleaning
        is quarantined too, unless the store has an older edition, which stays in use.

        Raises:
            DataError: the source does not hold the month (`NotPublished`).
        """
        self._ingest_history(month)
        try:
            self._fetch(month)
        except DataError as error:
            # A listed month that fails is broken; an unlisted one is the caller's mistake.
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
                # With this month there are MOST_HISTORY at most.
                good = [*good[1 - MOST_HISTORY :], self._stored[month].profile]
        return good

    def _judged(self, ingested: IngestedMonth, history: Sequence[Profile]) -> MonthQuarantine | None:
        month = ingested.month
        if (str(month), ingested.content) in self._contents[RELEASED]:
            return None
        if month not in self._found:
            least, contract = self._context.settings.data.min_kept_share, self._context.contract
            found = quality.judge(ingested.profile, history, least, contract.plural, contract.quality)
            self._found[month] = _quarantine(month, ingested.content, found) if found.findings else None
        return self._found[month]

    def _unreadable(self, month: Month, error: DataError, actor: str) -> MonthQuarantine:
        """Quarantine a month that cannot be read, known by a digest of its metadata or, without any, of the error."""
        content = _content_of_unread(self._context, month) or _digest(str(error))
        found = _quarantine(month, content, Quality((quality.unreadable(error),), LEAST_HISTORY))
        # Alerts must not offer to release it, because the store does not have it.
        self._record(found, actor, None, ingested=False)
        return found

    def _record(self, found: MonthQuarantine, actor: str, incident_id: int | None, ingested: bool = True) -> None:
        if self._is_new(QUARANTINED, found.month, found.content):
            reason, evidence = f"{found.month}: {found.reason}", {**found.to_json(), "ingested": ingested}
            self._context.ledger.record(QUARANTINED, reason, actor=actor, incident_id=incident_id, evidence=evidence)

    def _note(self, ingested: IngestedMonth, actor: str) -> None:
        """Record once per content of a month how many rows cleaning kept and dropped.

        The metrics exporter reads these counts from the ledger, because the month's file may be on another machine's
        disk.
        """
        month, content = ingested.month, ingested.content
        if self._is_new(INGESTED, month, content):
            reason = f"{month}: {ingested.rows} of {ingested.rows_read} rows kept"
            counts = {"rows": ingested.rows, "rows_read": ingested.rows_read, "dropped": ingested.dropped}
            evidence = {"month": str(month), "content": content, **counts}
            self._context.ledger.record(INGESTED, reason, actor=actor, evidence=evidence)

    def _is_new(self, kind: str, month: Month, content: str) -> bool:
        """Return whether the ledger has no entry of this kind for this content, and remember it as recorded."""
        known, one = self._contents[kind], (str(month), content)
        if one in known:
            return False
        known.add(one)
        return True


def usable(context: Context, months: Iterable[Month], actor: str = ACTOR) -> list[Month]:
    """Return the months that are not quarantined, in order; ingest all of them to find out."""
    return _usable(Judge(context), months, actor)


def _usable(judge: Judge, months: Iterable[Month], actor: str) -> list[Month]:
    return [month for month in sorted(months) if judge.ingest(month, actor) is None]


def newest_usable(context: Context, months: Sequence[Month], count: int, actor: str = ACTOR) -> list[Month]:
    """Return the newest `count` months that are not quarantined, in order; older months replace quarantined ones."""
    found: list[Month] = []
    judge = Judge(context)
    while months and len(found) < count:
        missing = count - len(found)
        found = _usable(judge, months[-missing:], actor) + found
        months = months[:-missing]
    return found


def usable_months(context: Context) -> list[Month]:
    """Return the published months without those that are known to be quarantined; fetch none."""
    stored = {ingested.month: ingested.content for ingested in context.store.months()}
    broken = _contents(context, QUARANTINED) - _contents(context, RELEASED)
    quarantined = {month for month, _ in broken}

    def may_be_used(month: Month) -> bool:
        if str(month) not in quarantined:
            return True
        # What could not be read is not in the store, and may have been repaired since.
        content = stored.get(month) or _content_of_unread(context, month)
        return content is not None and (str(month), content) not in broken

    return [month for month in context.source.published() if may_be_used(month)]


def _content_of_unread(context: Context, month: Month) -> str | None:
    """Return the name of a month's content by its metadata, without reading it; None where there is no metadata."""
    try:
        return _digest(json.dumps(asdict(context.source.metadata(month)), sort_keys=True))
    except (DataError, SourceUnavailable):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class KeptShares(TypedDict):
    """Share of rows that cleaning kept, by month."""

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
    """Record a person's statement that a quarantined month is correct: from now on it is used, also as history.

    Raises:
        NotFound: the month is not in the store.
        Conflict: the month is not quarantined.
    """
    if context.store.get(month) is None:
        raise NotFound(f"{month} is not in the store: there is nothing that could be used")
    found = Judge(context).quarantine_of(month, actor)
    if found is None:
        raise Conflict(f"{month} is not quarantined")
    context.ledger.record(RELEASED, f"{month}: {reason}", actor=actor, evidence=found.to_json())


def _quarantine(month: Month, content: str, found: Quality) -> MonthQuarantine:
    return MonthQuarantine(month, content, found.reason, [finding.to_json() for finding in found.findings])


def _contents(context: Context, kind: EntryKind) -> Contents:
    """Return the months, with their content, of which the ledger has an entry of this kind."""
    known = (entry.evidence for entry in context.ledger.entries(kind=kind))
    return frozenset((of["month"], of["content"]) for of in known if "content" in of)
