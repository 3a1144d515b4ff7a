"""The errors of the windows that a champion has been judged on so far: what accumulates over them is judged too."""

from autoops.loop.pipeline import Pipeline
from autoops.loop.windows import promoted_at
from autoops.registry import ModelVersion

MOST = 20
"""Older windows hardly count in an exponentially weighted average."""


def recent_errors(pipeline: Pipeline, champion: ModelVersion) -> list[float]:
    """Of this reign's windows whose ground truth was judged, newest first. What two checks at a time have judged both
    counts once."""
    checks = pipeline.checks.latest(champion.number, since=promoted_at(champion), judged=True, limit=2 * MOST)
    errors = {(c.event_from, c.event_until): c.report.get("relative_error") for c in checks}
    return [error for error in errors.values() if error is not None][:MOST]
