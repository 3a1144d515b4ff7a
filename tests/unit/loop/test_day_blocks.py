"""Intervals of means over days: exact where they can be, and as wide as few days make them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from autoops.loop.decide.day_blocks import LONGEST_WAIT_DAYS, DayBlocks, Estimate, Spread, further_days

RESAMPLES = 500


def over(counts: list[int], means: list[float], resamples: int = RESAMPLES) -> tuple[DayBlocks, np.ndarray, np.ndarray]:
    """Days of so many rows, each row with its day's mean; the mask of all rows."""
    days = np.repeat(np.arange(len(counts)), counts)
    return DayBlocks(days, resamples), np.repeat(means, counts), np.ones(len(days), dtype=bool)


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
    blocks, rows = DayBlocks(days, RESAMPLES), np.array([True, False, True, True, False, False])
    assert blocks.spread(rows) == Spread(3, 2, 9 / 5)
    assert blocks.estimate(np.array([3.0, 99, 6, 9, 99, 99]), rows, 0.1).mean == 6.0
    assert blocks.spread(np.zeros(6, dtype=bool)) == Spread(0, 0, 0.0)


@pytest.mark.parametrize("tail", [0.025, 0.00625])
@pytest.mark.parametrize(
    ("counts", "means"),
    [
        ([40, 40, 40, 40, 40], [0.1, -0.2, 0.3, 0.05, 0.4]),
        ([10, 60, 30, 0, 25, 45, 20], [0.5, -0.2, 0.3, 0.0, 0.6, 0.1, -0.4]),
    ],
)
def test_the_percentiles_of_resampled_days_are_widened_to_students(
    tail: float, counts: list[int], means: list[float]
) -> None:
    blocks, values, rows = over(counts, means)
    found = blocks.estimate(values, rows, tail)

    n, day = np.array(counts), np.array(means)
    present = n > 0
    mean = float(n @ day) / n.sum()
    draws = np.random.default_rng(0).integers(0, present.sum(), (RESAMPLES, present.sum()))
    residual = (n * (day - mean) / n.sum())[present]
    below, above = np.quantile([residual[draw].sum() for draw in draws], [tail, 1 - tail])
    k = n.sum() ** 2 / (n**2).sum()
    widened = (k / (k - 1)) ** 0.5 * t(k - 1).isf(tail) / norm.isf(tail)
    assert found.mean == pytest.approx(mean)
    assert found.low == pytest.approx(mean + widened * below)
    assert found.high == pytest.approx(mean + widened * above)
    assert found.tail == tail
    assert found.spread == blocks.spread(rows)


def test_with_many_days_it_is_the_interval_of_a_textbook() -> None:
    day = np.random.default_rng(3).normal(1, 1, 60)
    blocks, values, rows = over([20] * 60, day.tolist(), resamples=20_000)
    found = blocks.estimate(values, rows, 0.025)
    half = t(59).isf(0.025) * day.std(ddof=1) / 60**0.5
    assert (found.low, found.high) == pytest.approx((day.mean() - half, day.mean() + half), abs=0.05 * half)


def test_a_segment_is_estimated_on_days_that_some_resamples_lack() -> None:
    days, rows = np.repeat(np.arange(28), 50), np.zeros(1_400, dtype=bool)
    rows[:250] = True
    values = np.random.default_rng(0).normal(2, 1, 1_400)
    found = DayBlocks(days, 2_000).estimate(values, rows, 0.025)
    assert found.spread.days == 5
    assert found.low < found.mean < found.high
    assert np.isfinite([found.low, found.high]).all()


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
    blocks, values, rows = over([30] * 7, seen, resamples=20_000)
    more = further_days(blocks.estimate(values, rows, 0.025))
    assert more is not None
    wide = np.std(seen) * (len(seen) / (len(seen) - 1)) ** 0.5
    halves = [t(7 + n - 1).isf(0.0125) * wide / (7 + n) ** 0.5 for n in (more, more - 3)]
    assert halves[0] < abs(np.mean(seen)) < halves[1]


def test_the_longest_wait_counts() -> None:
    """The last day looked at is LONGEST_WAIT_DAYS."""
    last = t(6).isf(0.025) / t(6 + LONGEST_WAIT_DAYS).isf(0.0125) * ((7 + LONGEST_WAIT_DAYS) / 7) ** 0.5
    assert further_days(estimated(-1.0, -9.0, -1.0 + last * 0.9999)) == LONGEST_WAIT_DAYS
    assert further_days(estimated(-1.0, -9.0, -1.0 + last * 1.0001)) is None
