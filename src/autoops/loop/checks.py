"""The record of drift checks: what was judged, how far the windows have been used up, what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from autoops import tables
from autoops.clock import Clock
from autoops.database import storage_errors

JUDGED = ("drift", "no drift")
BROKEN: Final = "broken data"


@dataclass(frozen=True)
class Check:
    """`last_prediction_id` and `last_label_id` are the ends of the rows that have counted in a window."""

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


class CheckLog:
    """Appends and reads checks; raises StorageUnavailable when the database fails."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def append(self, **values: Any) -> int:
        """Takes the fields of Check without `id` and `checked_at`; returns the id."""
        with storage_errors(), self._engine.begin() as connection:
            key = connection.execute(
                sa.insert(tables.checks).values(checked_at=self._clock.now(), **values)
            ).inserted_primary_key
        assert key is not None
        return int(key[0])

    def latest(
        self,
        model_version: int | None = None,
        *,
        since: datetime | None = None,
        judged: bool = False,
        verdicts: Sequence[str] = (),
        limit: int = 1,
    ) -> list[Check]:
        """Newest first; `since` is wall time, `judged` leaves out checks that judged no drift, and `verdicts` names
        those that count."""
        query = sa.select(tables.checks).order_by(tables.checks.c.id.desc()).limit(limit)
        if model_version is not None:
            query = query.where(tables.checks.c.model_version == model_version)
        if since is not None:
            query = query.where(tables.checks.c.checked_at >= since)
        if judged:
            verdicts = JUDGED
        if verdicts:
            query = query.where(tables.checks.c.verdict.in_(verdicts))
        with storage_errors(), self._engine.connect() as connection:
            return [Check(**row) for row in connection.execute(query).mappings()]
