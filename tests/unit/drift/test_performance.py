from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.drift.performance import (
    ABOVE,
    BELOW,
    EWMA_ABOVE,
    EWMA_BELOW,
    LARGER,
    ErrorLimits,
    Loss,
    judge_errors,
    level_of,
    levels,
    limits,
    out_of_sample,
    scale_of,
)
from autoops.drift.schedule import Schedule
from autoops.drift.tails import Ordinary
from autoops.usecase import declaration
from tests.taxi import CONTRACT

ALLOWED = ErrorLimits(
    relative_mean=0.0,
    relative_low=-0.1,
    relative_high=0.1,
    recent_low=-0.05,
    recent_high=0.05,
    absolute_mean=1.0,
    absolute_high=3.0,
)
PREDICTED = np.full(100, 10.0)


def loss(factor: float, *earlier: float, scattered: float = 0.0) -> Loss:
    """Of trips that take `factor` times as long as predicted, half of them `scattered` minutes more or less."""
    spread = np.where(np.arange(100) % 4 == 0, scattered, 0) - np.where(np.arange(100) % 4 == 1, scattered, 0)
    return judge_errors(CONTRACT, PREDICTED * factor + spread, PREDICTED, ALLOWED, earlier)


@pytest.mark.parametrize(
    ("factor", "scattered", "findings", "says"),
    [
        (1.02, 0, (), "the typical trip's duration is 2.0% above the prediction, predictions are 0.20 minutes too low"),
        (1.11, 0, (ABOVE,), "duration is 11.0% above the prediction, predictions are 1.10 minutes too low on average"),
        (1.11, 0, (ABOVE,), "ordinary windows stay between -9.5% and +10.5%"),
        (0.90, 0, (BELOW,), "duration is 10.0% below the prediction, predictions are 1.00 minutes too high on average"),
        (1.0, 7, (LARGER,), "the mean absolute error is 3.50 minutes; ordinary windows stay below 3.00"),
        (1.14, 0, (ABOVE, EWMA_ABOVE), "over the recent windows the typical trip's duration is 5.4% above"),
        (0.87, 0, (BELOW, EWMA_BELOW), "ordinary is between -4.9% and +5.1%"),
    ],
)
def test_what_counts_as_loss(factor: float, scattered: float, findings: tuple[str, ...], says: str) -> None:
    found = loss(factor, scattered=scattered)
    assert found.findings == findings
    assert (found.excess >= 1) == bool(findings)
    assert says in found.reason
    assert found.relative == pytest.approx(np.log(factor))


def test_two_findings_are_both_told_and_each_once() -> None:
    reason = loss(1.14, scattered=8).reason
    assert reason.count("the typical trip's duration is 14.0% above") == 1
    assert reason.count("the mean absolute error is") == 1


def test_what_no_window_shows_their_average_does() -> None:
    assert loss(1.07).findings == ()
    assert loss(1.07, 0.068).findings == ()
    assert loss(1.07, 0.068, 0.068).findings == (EWMA_ABOVE,)
    assert loss(0.93, -0.073, -0.073).findings == (EWMA_BELOW,)


@pytest.mark.parametrize("extreme", [0.3, 3.0, -3.0])
def test_one_extreme_window_makes_no_later_ordinary_one_alarm(extreme: float) -> None:
    side = 1.04 if extreme > 0 else 0.96
    assert loss(float(np.exp(extreme))).findings[-1] in (EWMA_ABOVE, EWMA_BELOW)
    assert loss(side, extreme).findings == loss(side, float(np.log(side)), extreme).findings == ()


def test_the_newest_of_the_earlier_windows_counts_most() -> None:
    assert loss(1.07, 0.1, 0.0).findings == (EWMA_ABOVE,)
    assert loss(1.07, 0.0, 0.1).findings == ()


def test_a_perfect_window_is_no_loss() -> None:
    assert loss(1.0).excess == 0


def test_a_few_broken_rows_do_not_move_the_typical_trip() -> None:
    truth = np.where(np.arange(100) < 10, 60.0, 10.0)
    assert judge_errors(CONTRACT, truth, PREDICTED, replace(ALLOWED, absolute_high=99)).relative == 0


def test_where_nothing_may_differ_any_deviation_in_its_direction_is_beyond() -> None:
    nothing = replace(ALLOWED, relative_low=0.0, relative_high=0.0, recent_low=-9, recent_high=9)
    assert judge_errors(CONTRACT, PREDICTED * 1.01, PREDICTED, nothing).findings == (ABOVE,)
    assert judge_errors(CONTRACT, PREDICTED * 0.99, PREDICTED, nothing).findings == (BELOW,)


def test_what_differs_not_at_all_is_within_any_limits() -> None:
    nothing = replace(ALLOWED, relative_low=0.0, relative_high=0.0, recent_low=0.0, recent_high=0.0)
    assert judge_errors(CONTRACT, PREDICTED, PREDICTED, nothing).findings == ()


@pytest.mark.parametrize(("factor", "findings"), [(1.15, (ABOVE,)), (1.13, ()), (0.96, ()), (0.95, (BELOW,))])
def test_deviations_are_from_what_is_ordinary_for_the_version(factor: float, findings: tuple[str, ...]) -> None:
    slower = replace(ALLOWED, relative_mean=0.05, relative_low=-0.045, relative_high=0.13, recent_low=-1, recent_high=1)
    assert loss_against(slower, factor) == findings


def test_so_are_those_of_the_recent_windows() -> None:
    slower = replace(ALLOWED, relative_mean=0.05, relative_low=-1, relative_high=1, recent_low=0.02, recent_high=0.07)
    assert loss_against(slower, 1.08) == ()
    assert loss_against(slower, 1.11) == (EWMA_ABOVE,)
    assert loss_against(slower, 0.97) == (EWMA_BELOW,)


def loss_against(allowed: ErrorLimits, factor: float) -> tuple[str, ...]:
    return judge_errors(CONTRACT, PREDICTED * factor, PREDICTED, replace(allowed, absolute_high=99)).findings


def test_no_trip_counts_as_shorter_than_a_minute() -> None:
    assert levels(CONTRACT, np.array([0.0, 10.0]), np.array([1.0, -3.0])) == pytest.approx([0, np.log(10)])


def test_of_a_target_that_is_mostly_0_the_level_is_the_mean_of_cut_residuals() -> None:
    meter = declaration.load(str(Path(__file__).parents[2] / "usecases" / "meter"))
    truth, predicted = np.zeros(100), np.zeros(100)
    truth[:20], truth[20] = 1.0, -50.0
    scale = scale_of(meter, truth[:40], predicted[:40] + 0.5)
    assert scale == pytest.approx((39 * 0.5 + 50.5) / 40)
    assert level_of(meter, levels(meter, truth, predicted, 1.0)) == pytest.approx((20 - 5) / 100)
    assert level_of(meter, levels(meter, truth, predicted, 0.5)) == pytest.approx((40 - 5) / 100)


def test_limits_lie_around_what_was_ordinary() -> None:
    rng = np.random.default_rng(0)
    ordinary = Ordinary(Schedule(windows_per_year=1_000, needed=1, of=1))
    found = limits(rng.normal(0.02, 0.03, 4000), rng.normal(3, 0.2, 4000), ordinary, 1, held_out=1.0)
    assert found.relative_mean == pytest.approx(0.02, abs=0.002)
    assert found.relative_low == pytest.approx(0.02 - 3.09 * 0.03, abs=0.003)
    assert found.relative_high == pytest.approx(0.02 + 3.09 * 0.03, abs=0.003)
    assert found.recent_low == pytest.approx(0.02 - 3.09 * 0.015, abs=0.003)
    assert found.recent_high == pytest.approx(0.02 + 3.09 * 0.015, abs=0.003)
    assert found.absolute_high == pytest.approx(3 + 3.09 * 0.2, abs=0.02)


def test_errors_three_times_as_large_are_noticed_however_few_windows_there_were() -> None:
    few = np.array([12.0, 14, 30, 44, 38, 20])
    found = limits(np.zeros(6), few, Ordinary(Schedule(365, 2, 3)), 0.1, held_out=0.1)
    assert found.absolute_high == pytest.approx(3 * few.mean())


def test_a_level_that_few_trips_tell_widens_the_limit_of_absolute_errors_alone() -> None:
    rng = np.random.default_rng(0)
    series, ordinary = (rng.normal(0.02, 0.03, 90), rng.normal(3, 0.2, 90)), Ordinary(Schedule(365, 2, 3))
    known, guessed = (limits(*series, ordinary, 1, held_out) for held_out in (1.0, 0.1))
    assert guessed.absolute_high > known.absolute_high + 0.05
    assert replace(guessed, absolute_high=known.absolute_high) == known


def test_the_narrower_limits_of_both_hold() -> None:
    other = ErrorLimits(0.01, -0.05, 0.2, -0.02, 0.07, 1.0, 2.5)
    assert other.within(ALLOWED) == ErrorLimits(0.01, -0.05, 0.1, -0.02, 0.05, 1.0, 2.5)


def test_the_wider_limits_of_both_hold_about_the_middle() -> None:
    other, some = ErrorLimits(0.03, -0.05, 0.2, -0.02, 0.07, 2.0, 2.5), replace(ALLOWED, relative_mean=0.01)
    assert other.beyond(some) == ErrorLimits(0.02, -0.1, 0.2, -0.05, 0.07, 1.5, 3.0)


def test_errors_on_fitted_rows_are_widened_to_those_on_held_out_rows() -> None:
    rng = np.random.default_rng(0)
    fitted, held_out = rng.normal(0.5, 2, 5000), rng.normal(0.9, 3, 900)
    widened = out_of_sample(fitted, held_out)
    assert np.abs(widened).mean() == pytest.approx(np.abs(held_out).mean())
    assert np.median(widened) / np.median(fitted) == pytest.approx(widened.std() / fitted.std())


@given(st.floats(0.1, 5), st.floats(0.1, 5))
def test_errors_are_never_made_smaller(inside: float, outside: float) -> None:
    assert (np.abs(out_of_sample(np.full(9, inside), np.full(9, outside))) >= inside).all()


def test_small_errors_are_widened_likewise() -> None:
    assert out_of_sample(np.array([0.1, -0.1]), np.array([0.3])).tolist() == pytest.approx([0.3, -0.3])


def test_without_a_holdout_errors_stay_as_they_are() -> None:
    assert out_of_sample(np.array([1.0, -2.0]), np.array([])).tolist() == [1.0, -2.0]
    assert out_of_sample(np.array([0.1, -0.2]), np.array([])).tolist() == [0.1, -0.2]


def test_a_level_of_cut_residuals_is_told_apart_from_their_mean() -> None:
    meter = declaration.load(str(Path(__file__).parents[2] / "usecases" / "meter"))
    truth, wide = np.full(100, -8.0), replace(ALLOWED, absolute_high=99)
    told = judge_errors(meter, truth, np.zeros(100), wide).reason
    assert "is 5.00 kWh below the prediction where no row counts for more than 5.00 kWh, predictions are 8" in told
    assert "counts for" not in judge_errors(meter, truth + 7, np.zeros(100), wide).reason
