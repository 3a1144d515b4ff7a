"""A check remembers what the windows before its own were like."""

from datetime import timedelta
from pathlib import Path

import pytest

from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.usecases.taxi.trips import NEW_YORK
from tests.integration.months.published import APRIL
from tests.integration.one_process import publish


@pytest.mark.parametrize(("windows", "remembered"), [(1, False), (6, True)])
def test_errors_of_the_windows_before_count_with_those_of_this_one_but_one_alone_decides_nothing(
    windows: int, remembered: bool, context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    context.clock.advance(hours=1)
    for number in reversed(range(windows)):
        until = APRIL.starts_in(NEW_YORK) - timedelta(days=10 * number)
        context.checks.append(
            model_version=1,
            verdict="no drift",
            alarm=False,
            reason="",
            event_from=until - timedelta(days=10),
            event_until=until,
            report={"relative_error": -0.5},
        )
    publish(worlds["steady"], tmp_path, "2022-04")
    first = drift_check.check(context)["windows"][0]
    assert first["alarm"] == remembered, first["reason"]
    assert context.checks.latest(judged=True, limit=9)[-windows - 1].report["relative_error"] < 0.1
