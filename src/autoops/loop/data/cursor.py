"""The cursor of checks: up to which live prediction and label they have consumed, so that no row counts twice."""

from datetime import datetime
from typing import NamedTuple

from autoops.loop.context import Context
from autoops.models.registry import PROMOTED_AT, ModelVersion


class Cursor(NamedTuple):
    """Cursor of a version's tenure: the last live prediction and label that a window has consumed."""

    prediction_id: str | None = None
    label_id: int | None = None


def promoted_at(version: ModelVersion) -> datetime | None:
    """Return when the version last became champion, in wall time; None if it never did."""
    moment = version.tags.get(PROMOTED_AT)
    return datetime.fromisoformat(moment) if moment else None


def cursor_of(context: Context, champion: ModelVersion) -> Cursor:
    """Return the cursor of the champion's live traffic: what checks have consumed since it became champion."""
    checks = context.checks.latest(champion.number, since=promoted_at(champion))
    return Cursor(checks[0].last_prediction_id, checks[0].last_label_id) if checks else Cursor()
