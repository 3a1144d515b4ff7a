"""What accumulates over windows is judged: the errors of a reign are read back from its checks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.pipeline import Pipeline
from autoops.loop.recent_errors import MOST, recent_errors
from autoops.registry import PROMOTED_AT, ModelVersion
from autoops.settings import Settings
from tests.integration.one_process import pipeline_in

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def pipeline(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Pipeline:
    return pipeline_in(tmp_path, settings, engine)


def record(pipeline: Pipeline, day: int, error: float | None, *, version: int = 1, verdict: str = "no drift") -> None:
    pipeline.clock.advance(hours=1)
    pipeline.checks.append(
        model_version=version,
        verdict=verdict,
        alarm=False,
        reason="",
        event_from=BEGAN + timedelta(days=day),
        event_until=BEGAN + timedelta(days=day + 1),
        report={"relative_error": error},
    )


def champion(pipeline: Pipeline, number: int = 1) -> ModelVersion:
    return ModelVersion(number, "run", {PROMOTED_AT: pipeline.clock.now().isoformat()})


def test_errors_of_a_reign_come_newest_first_and_each_window_counts_once(pipeline: Pipeline) -> None:
    record(pipeline, 0, 0.9)
    pipeline.clock.advance(hours=1)
    version = champion(pipeline)
    record(pipeline, 1, 0.1)
    record(pipeline, 2, 0.2)
    record(pipeline, 2, 0.2)
    record(pipeline, 3, None)
    record(pipeline, 4, 0.4, version=2)
    record(pipeline, 5, 0.5, verdict="broken data")
    record(pipeline, 6, 0.6)
    assert recent_errors(pipeline, version) == [0.6, 0.2, 0.1]


def test_no_more_are_read_than_count(pipeline: Pipeline) -> None:
    version = champion(pipeline)
    for day in range(MOST + 5):
        record(pipeline, day, float(day))
    assert recent_errors(pipeline, version) == [float(day) for day in reversed(range(5, MOST + 5))]
