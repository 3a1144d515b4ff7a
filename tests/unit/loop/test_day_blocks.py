"""Intervals of means over days: as wide as few days that depend on each other make them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from autoops.loop.decide.day_blocks import (
    LONGEST_WAIT_DAYS,
    DayBlocks,
    Estimate,
    Spread,
    estimate_of_sums,
    further_days,
)

RUNS = 300


def over(counts: list[int], means: list[float]) -> tuple[DayBlocks, np.ndarray, np.ndarray]:
    """Days of so many rows, each row with its day's mean; the mask of all rows."""
    days = np.repeat(np.arange(len(counts)), counts)
    return DayBlocks(days), np.repeat(means, counts), np.ones(len(days), dtype=bool)


@pytest.mark.parametrize(
    ("counts", "effective", "enough"),
    [
        ([10, 10, 10, 10, 10], 5.0, True),
        ([10, 10, 10, 10], 4.0, False),
        ([1, 1, 1, 1, 46], 50**2 / (4 + 46**2), False),
        ([30, 30, 30, 1, 1], 92**2 / 2702, True),
        ([60, 60, 60], 3.0, False),
        ([96, 96, 96, 0, 0, 0], 3.0, False),
    ],
)
def test_days_that_hold_most_rows_count_for_less(counts: list[int], effective: float, enough: bool) -> None:
    blocks, _, rows = over(counts, [0.0] * len(counts))
    spread = blocks.spread(rows)
    assert (spread.rows, spread.days) == (sum(counts), sum(count > 0 for count in counts))
    assert spread.effective_days == pytest.approx(effective)
    assert spread.says_how_days_differ is enough


@pytest.mark.parametrize(
    ("spread", "enough"),
    [
        (Spread(500, 5, 3.0), True),
        (Spread(500, 4, 4.0), False),
        (Spread(500, 9, 2.999), False),
    ],
)
def test_what_says_how_days_differ(spread: Spread, enough: bool) -> None:
    assert spread.says_how_days_differ is enough


def test_only_the_masked_rows_count() -> None:
    days = np.array([7, 7, 8, 8, 9, 9])
    blocks, rows = DayBlocks(days), np.array([True, False, True, True, False, False])
    assert blocks.spread(rows) == Spread(3, 2, 9 / 5)
    assert blocks.estimate(np.array([3.0, 99, 6, 9, 99, 99]), rows, 0.1).mean == 6.0
    assert blocks.spread(np.zeros(6, dtype=bool)) == Spread(0, 0, 0.0)


def series(seed: int, days: int, persistence: float) -> np.ndarray:
    """Differences of days around 0 that correlate with those of the day before."""
    found = np.random.default_rng(seed).normal(0, 1, days)
    for day in range(1, days):
        found[day] = persistence * found[day - 1] + (1 - persistence**2) ** 0.5 * found[day]
    return found


def half(values: np.ndarray, days: np.ndarray | None = None, tail: float = 0.025) -> float:
    """The distance from the mean to its bound."""
    numbers = np.arange(len(values)) if days is None else days
    found = estimate_of_sums(numbers, np.full(len(values), 50.0), 50 * values, tail)
    assert found.high - found.mean == pytest.approx(found.mean - found.low)
    return found.high - found.mean


def students(values: np.ndarray) -> float:
    return float(t(len(values) - 1).isf(0.025) * values.std(ddof=1) / len(values) ** 0.5)


def test_independent_days_get_little_more_than_the_interval_of_a_textbook() -> None:
    widths = [half(values) / students(values) for values in (series(seed, 60, 0.0) for seed in range(20))]
    assert 0.95 < np.median(widths) < 1.25


@pytest.mark.parametrize("persistence", [0.0, 0.4, 0.7])
def test_the_interval_contains_the_true_mean_where_days_depend_on_each_other(persistence: float) -> None:
    """Student's interval, for which days are independent, contains it in 60 % of the cases at 0.7."""
    found = [series(seed, 28, persistence) for seed in range(RUNS)]
    assert np.mean([abs(values.mean()) < half(values) for values in found]) > 0.85
    if persistence == 0.7:
        assert np.mean([abs(values.mean()) < students(values) for values in found]) < 0.7


@pytest.mark.parametrize("persistence", [0.0, 0.4])
def test_days_spread_over_four_weeks_tell_of_the_four_weeks_after(persistence: float) -> None:
    days = 3 + 4 * np.arange(7)
    inside = []
    for seed in range(RUNS):
        values = series(seed, 56, persistence)
        inside.append(abs(values[days].mean() - values[28:].mean()) < half(values[days], days))
    assert np.mean(inside) > 0.85


def test_the_same_days_say_more_where_they_lie_further_apart() -> None:
    """A step from one week to the next may be chance among neighbours, and hardly so among days ten days apart."""
    values = np.repeat([1.0, -1.0], 7) + 0.1 * np.arange(14) % 0.3
    assert half(values, 10 * np.arange(14)) < 0.8 * half(values)


@pytest.mark.parametrize("gap", [30, 50, 365])
@pytest.mark.parametrize("seed", range(8))
def test_days_far_apart_get_the_interval_of_a_textbook(gap: int, seed: int) -> None:
    """Whatever the persistence then, all widths of the mixture are the same."""
    values = series(seed, 5 + seed % 4, 0.0)
    assert half(values, gap * np.arange(len(values))) == pytest.approx(students(values), rel=0.02)


@pytest.mark.parametrize("tail", [0.025, 0.00625])
def test_a_day_with_most_rows_leaves_fewer_days(tail: float) -> None:
    means, days = series(2, 7, 0.0), np.arange(7)
    even, uneven = np.full(7, 30.0), np.array([10.0, 90, 30, 10, 25, 25, 20])
    narrow, wide = (estimate_of_sums(days, counts, counts * means, tail) for counts in (even, uneven))
    assert (wide.tail, wide.spread.rows) == (tail, 210)
    assert wide.high - wide.low > 1.1 * (narrow.high - narrow.low)


def test_a_segment_is_estimated_on_the_days_that_it_has() -> None:
    days, rows = np.repeat(np.arange(28), 50), np.zeros(1_400, dtype=bool)
    rows[:250] = True
    values = np.random.default_rng(0).normal(2, 1, 1_400)
    found = DayBlocks(days).estimate(values, rows, 0.025)
    assert found.spread.days == 5
    assert found == DayBlocks(days[:250]).estimate(values[:250], rows[:250], 0.025)


def test_days_that_agree_leave_no_width() -> None:
    blocks, values, rows = over([20] * 7, [0.5] * 7)
    found = blocks.estimate(values, rows, 0.025)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


@given(st.integers(0, 50))
def test_the_interval_follows_the_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks, values, rows = over(rng.integers(1, 40, 6).tolist(), rng.normal(0, 1, 6).tolist())
    found, moved = blocks.estimate(values, rows, 0.05), blocks.estimate(3 - 2 * values, rows, 0.05)
    assert (moved.low, moved.high) == pytest.approx((3 - 2 * found.high, 3 - 2 * found.low))


def estimated(mean: float, low: float, high: float, days: int = 7, effective: float = 7.0) -> Estimate:
    return Estimate(mean, low, high, 0.025, Spread(1_000, days, effective))


@pytest.mark.parametrize(
    ("estimate", "target", "days"),
    [
        # Half as wide at half of the tail takes 3.9 times the days: sqrt(7 / 27) * t(26) / t(6) = 0.495.
        (estimated(-0.5, -1.5, 0.5), 0.0, 20),
        (estimated(0.5, -0.5, 1.5), 0.0, 20),
        (estimated(0.5, -0.5, 9.9), 0.0, 20),
        (estimated(-0.5, -9.9, 0.5), 0.0, 20),
        (estimated(0.75, -0.25, 1.75), 0.25, 20),
        (estimated(-0.5, -1.5, 0.5), -1.0, 20),
        (estimated(-0.99, -2.0, 0.01), 0.0, 3),
        (estimated(-1.0, -1.5, -0.5), 0.0, 1),
        (estimated(-0.5, -1.5, 0.5, days=14, effective=7.0), 0.0, 40),
        (estimated(-0.3, -1.3, 0.7), 0.0, 62),
        (estimated(-0.2, -1.2, 0.8), 0.0, None),
        (estimated(0.0, 0.0, 0.0), 0.0, None),
        (estimated(0.0, -1.0, 1.0), 0.0, None),
    ],
)
def test_how_many_more_days_an_interval_needs(estimate: Estimate, target: float, days: int | None) -> None:
    assert further_days(estimate, target) == days


def test_after_those_days_the_interval_does_exclude_zero() -> None:
    """With days like the ones that were seen, at half of the error probability, and not with a few days fewer."""
    seen = [-1.0, 1.0, -0.9, 0.5, -0.3, 0.2, -1.4]
    half = students(np.array(seen))
    more = further_days(estimated(float(np.mean(seen)), float(np.mean(seen)) - half, float(np.mean(seen)) + half))
    assert more is not None
    wide = np.std(seen) * (len(seen) / (len(seen) - 1)) ** 0.5
    halves = [t(7 + n - 1).isf(0.0125) * wide / (7 + n) ** 0.5 for n in (more, more - 3)]
    assert halves[0] < abs(np.mean(seen)) < halves[1]


def test_the_longest_wait_counts() -> None:
    """The last day looked at is LONGEST_WAIT_DAYS."""
    last = t(6).isf(0.025) / t(6 + LONGEST_WAIT_DAYS).isf(0.0125) * ((7 + LONGEST_WAIT_DAYS) / 7) ** 0.5
    assert further_days(estimated(-1.0, -9.0, -1.0 + last * 0.9999)) == LONGEST_WAIT_DAYS
    assert further_days(estimated(-1.0, -9.0, -1.0 + last * 1.0001)) is None
