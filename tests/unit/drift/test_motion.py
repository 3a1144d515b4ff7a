"""A level that moves within the history is told from noise, and its newest value from those before."""

import numpy as np
import pytest

from autoops.drift.calibration import measure, thresholds_from
from autoops.drift.motion import BLOCK_DAYS, FALSELY, path_of
from autoops.drift.thresholds import Thresholds
from tests.taxi import CONTRACT, calibrate
from tests.unit.drift.made_up import DRIFT, history, moving

DAYS = np.arange(196) / 2 + 0.25
"""Two windows a day for fourteen weeks."""
PASSED = np.linspace(0, 1, len(DAYS))


def steady(seed: int, left_over: float = 0.5) -> np.ndarray:
    """Mornings are not evenings, and days have shocks of which a part is left on the next day."""
    rng = np.random.default_rng(seed)
    days = [0.0]
    for shock in rng.normal(0, 0.05 * np.sqrt(1 - left_over**2), 128):
        days.append(left_over * days[-1] + shock)
    return np.repeat(days[-98:], 2) + np.tile([0.02, -0.02], 98) + rng.normal(0, 0.01, len(DAYS))


@pytest.mark.parametrize("left_over", [0.0, 0.5, 0.7])
def test_steady_levels_seldom_seem_to_move(left_over: float) -> None:
    found = [path_of(steady(seed, left_over), DAYS) for seed in range(200)]
    assert sum(path is not None for path in found) <= 200 * FALSELY


@pytest.mark.parametrize(
    "level",
    [0.5 * PASSED, 0.3 * (PASSED > 0.62), 0.6 * np.abs(PASSED - 0.6)],
    ids=["a line", "a step in the middle of a week", "a turn"],
)
def test_where_the_level_moved_the_series_is_as_if_it_had_always_been_the_newest(level: np.ndarray) -> None:
    for seed in range(5):
        noise = steady(seed)
        path = path_of(noise + level, DAYS)
        assert path
        found = path.steadied(noise + level, DAYS, span_days=0.5)
        assert path.newest == pytest.approx(level[-1], abs=0.08)
        assert found.mean() == pytest.approx(path.newest, abs=0.001)
        assert found.std() == pytest.approx(noise.std(), rel=0.3)
        assert 0 < path.known < 1 < path.widening


def test_a_window_on_both_sides_of_a_step_has_a_part_of_each_level() -> None:
    path = path_of(steady(0) + 0.3 * (PASSED >= 0.5), DAYS)
    assert path
    weeks, half = np.array([45.5, 49.0, 52.5]), np.array([0.0, 0.15, 0.3])
    assert np.ptp(path.steadied(half, weeks, span_days=BLOCK_DAYS)) < 0.1 * path.widening


def test_one_week_apart_is_no_motion_and_few_weeks_cannot_tell() -> None:
    assert path_of(steady(1) + 0.3 * (DAYS > 91), DAYS) is None
    assert path_of((steady(1) + PASSED)[:70], DAYS[:70]) is None
    assert path_of(np.ones(196), DAYS) is None


STEP, LINE = (lambda passed: 0.3 * (passed > 0.6)), (lambda passed: 0.5 * passed - 0.3)


@pytest.mark.parametrize(("level", "newest"), [(STEP, 0.3), (LINE, 0.2)], ids=["step", "line"])
def test_thresholds_of_a_history_that_moved_are_narrow_and_about_the_newest_level(level, newest: float) -> None:
    moved = calibrate(*moving(level), ("trip_distance",), DRIFT)
    assert moved.moved == (
        "The history moved (the level of errors, the size of errors); thresholds are about its newest level."
    )
    assert moved.blind_to(CONTRACT) == ()
    for limits in moved.limits:
        assert limits.errors.relative_mean == pytest.approx(newest, abs=0.03)
        assert newest - 0.15 < limits.errors.relative_low < newest - 0.03
        assert newest + 0.03 < limits.errors.relative_high < newest + 0.15
        assert limits.errors.absolute_high < 1.5 * limits.errors.absolute_mean
    assert Thresholds.from_json(moved.to_json()) == moved


def test_thresholds_of_a_steady_history_are_as_they_were() -> None:
    frames = history(days=91)
    found = measure(*frames, ("trip_distance",), CONTRACT, DRIFT)
    assert thresholds_from(found, DRIFT, CONTRACT).moved == ""
    assert [measured.known for measured in (*found.short, *found.weekly)] == [{}, {}]


def test_a_history_that_moved_in_a_few_weeks_says_that_its_version_is_blind() -> None:
    found = calibrate(*moving(lambda passed: 3 * passed, days=21), ("trip_distance",), DRIFT)
    assert found.moved == ""
    assert "targets off on one side" in found.blind_to(CONTRACT)
