"""The right remedy for each scenario, cut down: `benchmarks/quality.py` is the whole study."""

from pathlib import Path

import pytest

from autoops.usecases.taxi.sample import SCENARIOS, Scenario
from benchmarks import live_windows
from benchmarks.live_windows import EVERY, made_up, quarters, real
from benchmarks.quality import BROKEN, CHANGES, REAL, changed, real_months, simulated


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_is_broken_is_quarantined_and_nothing_else(scenario: Scenario) -> None:
    found = simulated(scenario, range(3), trips_per_month=4_000)
    assert found.quarantined == (found.runs if scenario in BROKEN else 0)


@pytest.mark.study
def test_no_real_month_is_quarantined_nor_near_it(tlc_dir: Path) -> None:
    found = dict(real_months(tlc_dir))
    assert list(found) == REAL
    assert not any(quality.findings for quality in found.values())
    assert max(used for quality in found.values() for used in quality.strain.values()) < 0.2


@pytest.mark.study
@pytest.mark.parametrize(
    "change", ["half as fast", "longer trips", "half of the rows in kilometres", "hours for minutes"]
)
def test_real_months_changed_on_purpose(tlc_dir: Path, change: str) -> None:
    found = changed(tlc_dir, change)
    assert found.quarantined == (found.runs if CHANGES[change][0] else 0)


LIVE: dict[Scenario, tuple[float | None, bool]] = {
    "steady": (None, False),
    "speed": (-0.25, False),
    "mix": (0.4, False),
    "bad_day": (None, False),
    "unit": (None, True),
    "nulls": (None, True),
}
"""By how much, and whether it is broken data."""


@pytest.mark.parametrize(
    "scenario",
    ["speed", "unit", *(pytest.param(name, marks=pytest.mark.study) for name in LIVE if name not in ("speed", "unit"))],
)
def test_windows_of_live_traffic_are_quarantined_where_they_are_broken(scenario: Scenario) -> None:
    by, broken = LIVE[scenario]
    found = made_up(scenario, by, 1_000, seeds=[1], trips_per_month=9_000)
    assert found.judged >= 20
    assert found.quarantined == (found.judged if broken else 0)


@pytest.mark.study
def test_no_window_of_a_real_month_is_quarantined_unless_it_is_broken(tlc_dir: Path) -> None:
    known = next(quarters(tlc_dir))
    for change in ("as it is", "40 % slower", "kilometres in the second half", "half without passengers"):
        found = real([known], change, 1_000)
        assert found.judged >= 180 / EVERY
        assert found.quarantined == (found.judged if live_windows.CHANGES[change][0] else 0)
