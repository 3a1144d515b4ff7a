"""Do labels still come? The share of predictions that have one by the age at which they ordinarily do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.data.label_lag import duration
from autoops.loop.data.retention import first_id_of
from autoops.models.registry import ModelVersion
from autoops.storage import tables
from autoops.storage.database import storage_errors
from autoops.storage.logged import FIELDS
from autoops.storage.predictions import LIVE, LoggedPrediction, Scope

ROWS = 500
"""Predictions of either share: a share of a half is known within 5 %."""

LOOKED_THROUGH = 20 * ROWS
"""Labels. After a promotion, those of other versions come for long."""

DUE_QUANTILE = 0.95
"""Of the delays of the newest labels: a prediction as old as that should have its own."""

LEAST_ORDINARY = 0.02
"""Where fewer predictions than that are labelled, a few labels more or less are chance."""


@dataclass(frozen=True)
class Coverage:
    """Of the newest predictions that are `due_s` old `share` have labels; of those before them `ordinary` had."""

    share: float
    ordinary: float
    due_s: float
    missing: bool

    def to_json(self) -> Mapping[str, object]:
        """Return what the check's record keeps of it; the next check reads it back."""
        return vars(self) | {"told": self.told}

    @property
    def told(self) -> str:
        due = f"{self.share:.0%} of the predictions that are {duration(self.due_s)} old have labels"
        return f"labels are missing: {due}, {self.ordinary:.0%} ordinarily" if self.missing else due


def coverage_of(context: Context, champion: ModelVersion) -> Coverage | None:
    """Return the coverage of live traffic; None before there are enough predictions that labels are due for."""
    before = _last(context)
    due_s = before["due_s"] if before and before["missing"] else _due_s(context, champion)
    if due_s is None and before:
        due_s = before["due_s"]
    if due_s is None:
        return None
    rows = _made_before(context, context.clock.now() - timedelta(seconds=due_s))
    if len(rows) < 2 * ROWS:
        return None
    known = context.log.labelled_at(rows)
    share, earlier = (sum(row.id in known for row in part) / ROWS for part in (rows[:ROWS], rows[ROWS:]))
    ordinary = before["ordinary"] if before and before["missing"] else earlier
    least = context.settings.alerts.least_label_share * ordinary
    return Coverage(share, ordinary, due_s, ordinary >= LEAST_ORDINARY and share < least)


def _last(context: Context) -> Mapping[str, Any] | None:
    """What the last check found: while labels are missing, it knows what was ordinary."""
    checks = context.checks.latest()
    return checks[0].report.get("coverage") if checks else None


def _due_s(context: Context, champion: ModelVersion) -> float | None:
    after = context.log.label_before(context.clock.now()) - LOOKED_THROUGH
    newest = context.log.latest_labelled(Scope(champion.number, LIVE), ROWS, after)
    known = context.log.labelled_at([row.logged for row in newest])
    delays = [
        (known[one.logged.id] - one.logged.predicted_at).total_seconds() for one in newest if one.logged.id in known
    ]
    return float(np.quantile(delays, DUE_QUANTILE)) if delays else None


def _made_before(context: Context, moment: datetime) -> Sequence[LoggedPrediction]:
    """The newest, of whichever version: a promotion changes nothing about labels."""
    made = tables.predictions.c
    columns = [made[name] for name in FIELDS]
    query = sa.select(*columns).where(made.id < first_id_of(moment), made.source == LIVE).order_by(made.id.desc())
    with storage_errors(), context.log.engine.connect() as connection:
        return [LoggedPrediction(*row) for row in connection.execute(query.limit(2 * ROWS))]
