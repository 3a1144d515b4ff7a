"""The champion's judged windows, read back from its checks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.incidents.judged_windows import MOST_ERRORS, earlier_errors, judged_windows
from autoops.loop.records.checks import LOOKED_BACK
from autoops.models.registry import PROMOTED_AT, ModelVersion
from autoops.settings import Settings
from autoops.storage import tables
from tests.integration.one_process import context_in

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    return context_in(tmp_path, settings, engine)


def record(
    context: Context,
    day: int,
    error: float | None,
    *,
    version: int = 1,
    verdict: str = "no drift",
    detectors: Sequence[str] = (),
) -> None:
    context.clock.advance(hours=1)
    row = _row(context, day, error, detectors) | {"model_version": version, "verdict": verdict}
    del row["checked_at"]
    context.checks.append(**row)


def _row(context: Context, day: int, error: float | None, detectors: Sequence[str]) -> dict[str, object]:
    return {
        "checked_at": context.clock.now(),
        "model_version": 1,
        "verdict": "no drift",
        "alarm": False,
        "reason": "",
        "event_from": BEGAN + timedelta(days=day),
        "event_until": BEGAN + timedelta(days=day + 1),
        "report": {"relative_error": error, "detectors": [{"name": name, "alarm": False} for name in detectors]},
    }


def champion(context: Context, number: int = 1) -> ModelVersion:
    return ModelVersion(number, "run", {PROMOTED_AT: context.clock.now().isoformat()})


def test_errors_of_a_reign_come_newest_first_and_each_window_counts_once(context: Context) -> None:
    record(context, 0, 0.9)
    context.clock.advance(hours=1)
    version = champion(context)
    record(context, 1, 0.1)
    record(context, 2, 0.2)
    record(context, 2, 0.2)
    record(context, 3, None)
    record(context, 4, 0.4, version=2)
    record(context, 5, 0.5, verdict="broken data")
    record(context, 6, 0.6)
    assert earlier_errors(context, version) == [0.6, 0.2, 0.1]


def test_no_more_are_read_than_count(context: Context) -> None:
    version = champion(context)
    for day in range(MOST_ERRORS + 5):
        record(context, day, float(day))
    assert earlier_errors(context, version) == [float(day) for day in reversed(range(5, MOST_ERRORS + 5))]


def test_windows_that_judged_predictions_alone_hide_no_earlier_loss(context: Context) -> None:
    """Labels come once a night, and a check every hour."""
    version = champion(context)
    for day in range(3):
        record(context, 100 * day, 0.1, detectors=["data drift", "loss"])
        for hour in range(60):
            record(context, 100 * day + hour + 1, None, detectors=["data drift"])
    assert earlier_errors(context, version) == [0.1] * 3
    windows = judged_windows(context, version, {"targets above predictions"})
    assert sum(window.looked_for("targets above predictions") for window in windows) == 3
    few = judged_windows(context, version, {"data drift"})
    assert len(few) == context.settings.drift.alarms_of


def test_so_many_checks_are_read_at_most(context: Context) -> None:
    version = champion(context)
    with context.log.engine.begin() as connection:
        rows = [_row(context, day, None, ["data drift"]) for day in range(LOOKED_BACK + 10)]
        connection.execute(sa.insert(tables.checks), rows)
    assert len(judged_windows(context, version, {"targets above predictions"})) == LOOKED_BACK
