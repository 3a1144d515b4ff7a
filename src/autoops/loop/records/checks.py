"""The log of checks: what was judged, the cursor of the rows that were consumed, and the verdict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from autoops.clock import Clock
from autoops.loop.records.ledger import Incident
from autoops.storage import tables
from autoops.storage.database import storage_errors

ACTOR = "drift_monitor"
"""The actor of checks in the ledger."""

JUDGED = ("drift", "no drift")
BROKEN: Final = "broken data"
LOOKED_BACK = 1_000
"""Checks that are read at most where labels arrive seldom, so that few of them could judge loss."""
_PAGE = 50


@dataclass(frozen=True)
class Check:
    """A check; `last_prediction_id` and `last_label_id` are the cursor of the rows that windows have consumed."""

    id: int
    checked_at: datetime
    model_version: int
    verdict: str
    alarm: bool
    reason: str
    event_from: datetime | None
    event_until: datetime | None
    last_prediction_id: str | None
    last_label_id: int | None
    report: Mapping[str, Any]


@dataclass(frozen=True)
class WindowLoss:
    """The mean absolute error of a judged window with its interval, without the rest of the check's report."""

    checked_at: datetime
    model_version: int
    alarm: bool
    event_from: datetime
    event_until: datetime
    mean: float
    low: float | None
    high: float | None
    rows: int


class CheckLog:
    """The log of checks in the database.

    Raises:
        StorageUnavailable: the database fails, in any method.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def append(self, **values: Any) -> int:
        """Insert a check with the fields of `Check` but `id` and `checked_at`; return its id."""
        with storage_errors(), self._engine.begin() as connection:
            key = connection.execute(
                sa.insert(tables.checks).values(checked_at=self._clock.now(), **values)
            ).inserted_primary_key
        assert key is not None
        return int(key[0])

    def get(self, check_id: int) -> Check | None:
        """Return the check; None if there is no such id."""
        query = sa.select(tables.checks).where(tables.checks.c.id == check_id)
        with storage_errors(), self._engine.connect() as connection:
            found = connection.execute(query).mappings().first()
        return Check(**found) if found else None

    def latest(
        self,
        model_version: int | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        within: tuple[datetime, datetime] | None = None,
        judged: bool = False,
        verdicts: Sequence[str] = (),
        limit: int | None = 1,
    ) -> list[Check]:
        """Return checks, newest first; all of them where `limit` is None.

        `since` and `until` bound the wall time of the check, `before` its id (exclusive), and `within` the event times
        of its window. `judged` selects the checks that judged drift, `verdicts` those with one of these verdicts.
        """
        query = sa.select(tables.checks).order_by(tables.checks.c.id.desc()).limit(limit)
        if model_version is not None:
            query = query.where(tables.checks.c.model_version == model_version)
        if since is not None:
            query = query.where(tables.checks.c.checked_at >= since)
        if until is not None:
            query = query.where(tables.checks.c.checked_at <= until)
        if before is not None:
            query = query.where(tables.checks.c.id < before)
        if within is not None:
            query = query.where(tables.checks.c.event_from >= within[0], tables.checks.c.event_until <= within[1])
        if judged:
            verdicts = JUDGED
        if verdicts:
            query = query.where(tables.checks.c.verdict.in_(verdicts))
        with storage_errors(), self._engine.connect() as connection:
            return [Check(**row) for row in connection.execute(query).mappings()]

    def losses(self, limit: int) -> list[WindowLoss]:
        """Return the errors of the labelled windows among the last `limit` checks, oldest first."""
        check, errors = tables.checks.c, tables.checks.c.report["errors"]
        mean, low, high = (errors[("absolute", name)].as_float() for name in ("mean", "low", "high"))
        columns = (check.checked_at, check.model_version, check.alarm, check.event_from, check.event_until)
        query = sa.select(
            *columns, mean.label("mean"), low.label("low"), high.label("high"), errors["rows"].as_integer()
        )
        recent = sa.select(sa.func.max(check.id)).scalar_subquery() - limit
        query = query.where(check.id > recent, check.verdict.in_(JUDGED)).order_by(check.id)
        with storage_errors(), self._engine.connect() as connection:
            found = connection.execute(query).all()
        return [WindowLoss(*row) for row in found if row.mean is not None and row.event_from is not None]

    def judged(self, model_version: int, since: datetime | None) -> Iterator[Check]:
        """Yield the version's checks that judged drift, newest first and at most `LOOKED_BACK`.

        They are read page by page, because most callers need a few of them.
        """
        before: int | None = None
        for _ in range(LOOKED_BACK // _PAGE):
            page = self.latest(model_version, since=since, before=before, judged=True, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            before = page[-1].id

    def behind(self, incident: Incident) -> list[Check]:
        """Return the checks that judged the time of the incident's evidence, however long ago; newest first."""
        if incident.evidence_start is None or incident.evidence_end is None or incident.model_version is None:
            return []
        within = incident.evidence_start, incident.evidence_end
        return self.latest(incident.model_version, within=within, judged=True, limit=None)
