"""The cursor of checks: up to which live prediction and label they have consumed, so that no row counts twice."""

from datetime import datetime
from typing import NamedTuple

from autoops.loop.context import Context
from autoops.models.registry import PROMOTED_AT, ModelVersion

MATURED_UNTIL = "consumed_until"
"""The key of a check's record that has `Cursor.matured_until`."""


class Cursor(NamedTuple):
    """Cursor of a version's tenure: the last live prediction and label that a window has consumed.

    Where labels count from an age on, `matured_until` is the event time up to which rows are consumed, and there is no
    `label_id`: an early label waits while later ones are consumed.
    """

    prediction_id: str | None = None
    label_id: int | None = None
    matured_until: datetime | None = None


def promoted_at(version: ModelVersion) -> datetime | None:
    """Return when the version last became champion, in wall time; None if it never did."""
    moment = version.tags.get(PROMOTED_AT)
    return datetime.fromisoformat(moment) if moment else None


def cursor_of(context: Context, champion: ModelVersion) -> Cursor:
    """Return the cursor of the champion's live traffic: what checks have consumed since it became champion."""
    checks = context.checks.latest(champion.number, since=promoted_at(champion))
    if not checks:
        return Cursor()
    matured_until = checks[0].report.get(MATURED_UNTIL)
    return Cursor(
        checks[0].last_prediction_id,
        checks[0].last_label_id,
        datetime.fromisoformat(matured_until) if matured_until else None,
    )
