"""Label coverage: the share of predictions that have a label by the age at which labels ordinarily arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.data.label_lag import duration
from autoops.loop.data.maturity import live_until
from autoops.loop.data.retention import first_id_of
from autoops.models.registry import ModelVersion
from autoops.storage import tables
from autoops.storage.database import storage_errors
from autoops.storage.logged import FIELDS
from autoops.storage.predictions import LIVE, LoggedPrediction, LogSelection

ROWS = 500
"""Predictions behind each of the two shares, a week's where these are fewer: with 500 a share of one half is known
within 5 percentage points."""

LOOKED_THROUGH = 20 * ROWS
"""Newest labels that are searched for the champion's: after a promotion, labels of other versions keep arriving."""

DUE_QUANTILE = 0.95
"""Quantile of the delays of the newest labels: a prediction that is older should have its label."""

LEAST_ORDINARY = 0.02
"""Below this ordinary share nothing is reported as missing: a few labels more or less are chance."""


@dataclass(frozen=True)
class Coverage:
    """Labelled shares of predictions that are at least `due_s` seconds old.

    `share` is that of the newest `ROWS` of them, `ordinary` that of the `ROWS` before; while labels are missing,
    `ordinary` keeps its value from before. `missing` says that `share` is below `alerts.least_label_share` of
    `ordinary`.
    """

    share: float
    ordinary: float
    due_s: float
    missing: bool

    def to_json(self) -> Mapping[str, object]:
        """Return the coverage as JSON for the check's record, which the next check reads back."""
        return vars(self) | {"told": self.told}

    @property
    def told(self) -> str:
        """Return the coverage as text; where labels are missing it says so and gives the ordinary share."""
        due = f"{self.share:.0%} of the predictions that are {duration(self.due_s)} old have labels"
        return f"labels are missing: {due}, {self.ordinary:.0%} ordinarily" if self.missing else due


def coverage_of(context: Context, champion: ModelVersion, size: int = ROWS) -> Coverage | None:
    """Return the coverage of live traffic, each share from `size` predictions.

    None while no label delay is known, or while fewer than 2 * `size` predictions are old enough.
    """
    until, before = live_until(context), _last(context)
    if until is not None:
        # The declared age, and no estimate: the first labels to come are the fast ones.
        due_s = context.contract.target.matures_after.total_seconds()  # type: ignore[union-attr]
        rows = _newest(context, tables.predictions.c.event_at <= until, 2 * size)
        return _compared(context, rows, size, due_s, before)
    # While labels are missing, the delays of those that still come are not the ordinary ones.
    due_s = before["due_s"] if before and before["missing"] else _due_s(context, champion)
    # `is None`, because labels that come at once have a delay of 0.
    if due_s is None and before:
        due_s = before["due_s"]
    if due_s is None:
        return None
    made_before = first_id_of(context.clock.now() - timedelta(seconds=due_s))
    # Ids begin with the time, so that the primary key serves both the bound and the order.
    rows = _newest(context, tables.predictions.c.id < made_before, 2 * size)
    return _compared(context, rows, size, due_s, before)


def _compared(
    context: Context, rows: Sequence[LoggedPrediction], size: int, due_s: float, before: Mapping[str, Any] | None
) -> Coverage | None:
    if len(rows) < 2 * size:
        return None
    known = context.log.labelled_at(rows)
    share, earlier = (sum(row.id in known for row in part) / size for part in (rows[:size], rows[size:]))
    ordinary = before["ordinary"] if before and before["missing"] else earlier
    least = context.settings.alerts.least_label_share * ordinary
    return Coverage(share, ordinary, due_s, ordinary >= LEAST_ORDINARY and share < least)


def _last(context: Context) -> Mapping[str, Any] | None:
    """Return the coverage that the last check recorded; while labels are missing, it holds the ordinary share."""
    checks = context.checks.latest()
    return checks[0].report.get("coverage") if checks else None


def _due_s(context: Context, champion: ModelVersion) -> float | None:
    after = context.log.label_before(context.clock.now()) - LOOKED_THROUGH
    newest = context.log.latest_labelled(LogSelection(champion.number, LIVE), ROWS, after)
    known = context.log.labelled_at([row.logged for row in newest])
    delays = [
        (known[one.logged.id] - one.logged.predicted_at).total_seconds() for one in newest if one.logged.id in known
    ]
    return float(np.quantile(delays, DUE_QUANTILE)) if delays else None


def _newest(context: Context, old_enough: sa.ColumnElement[bool], rows: int) -> Sequence[LoggedPrediction]:
    """Return the newest `rows` live predictions that are old enough, newest first.

    They may be of any version: a promotion does not change when labels arrive.
    """
    made = tables.predictions.c
    columns = [made[name] for name in FIELDS]
    query = sa.select(*columns).where(old_enough, made.source == LIVE).order_by(made.id.desc())
    with storage_errors(), context.log.engine.connect() as connection:
        return [LoggedPrediction(*row) for row in connection.execute(query.limit(rows))]
