"""A check remembers what the windows before its own were like."""

from datetime import timedelta
from pathlib import Path

from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.usecases.taxi.trips import NEW_YORK
from tests.integration.months.published import APRIL
from tests.integration.one_process import publish


def test_an_error_of_the_window_before_counts_with_those_of_this_one(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    context.clock.advance(hours=1)
    context.checks.append(
        model_version=1,
        verdict="no drift",
        alarm=False,
        reason="",
        event_from=APRIL.starts_in(NEW_YORK) - timedelta(days=10),
        event_until=APRIL.starts_in(NEW_YORK),
        report={"relative_error": 0.5},
    )
    publish(worlds["steady"], tmp_path, "2022-04")
    first = drift_check.check(context)["windows"][0]
    assert "over the recent windows the typical trip's duration is" in first["reason"]
    assert context.checks.latest(judged=True, limit=9)[-2].report["relative_error"] < 0.1
