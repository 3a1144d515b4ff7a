"""Differences between policies, and what of a degradation was avoided."""

import numpy as np
import pytest

from autoops.backtest.results.intervals import Days, averaged, degradation_avoided, difference
from autoops.settings import Gate

GATE = Gate()
ROWS = np.full(60, 50.0)
NOISE = np.random.default_rng(1).normal(0, 0.5, 60)


def days(mae: float, noise: np.ndarray = NOISE, rows: np.ndarray = ROWS) -> Days:
    return Days(np.arange(len(rows)), rows, rows * (mae + noise))


def test_what_days_share_leaves_no_width() -> None:
    found = difference(days(2.8), days(3.0), GATE)
    assert (found.estimate, found.low, found.high) == pytest.approx((-0.2, -0.2, -0.2))


def test_days_that_differ_widen_the_interval_around_the_estimate() -> None:
    found = difference(days(2.8, noise=NOISE * 3), days(3.0), GATE)
    assert found.low < found.estimate < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(NOISE * 2) / np.sqrt(60), rel=0.3)


def test_the_error_is_over_trips_and_not_over_days() -> None:
    rows = np.array([900.0, 100.0])
    assert Days(np.arange(2), rows, rows * np.array([2.0, 4.0])).mae == pytest.approx(2.2)


def test_other_trips_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same rows"):
        difference(days(2.8), days(2.8, rows=ROWS + 1), GATE)


@pytest.mark.parametrize(("mae", "share"), [(3.0, 0.0), (2.9, 0.5), (2.8, 1.0), (2.7, 1.5), (3.1, -0.5)])
def test_avoided_is_the_share_of_what_the_gate_would_have_saved(mae: float, share: float) -> None:
    avoided = degradation_avoided(days(mae), days(3.0), days(2.8), GATE)
    assert avoided is not None
    assert (avoided.estimate, avoided.low, avoided.high) == pytest.approx((share, share, share), abs=1e-9)


@pytest.mark.parametrize("gated", [days(3.0), days(2.99, noise=NOISE * 2), days(3.2)])
def test_where_retraining_gained_nothing_nothing_was_avoided(gated: Days) -> None:
    """No difference, one within chance, and one for the worse: the same share of it would be praise."""
    assert degradation_avoided(days(2.9), days(3.0), gated, GATE) is None


def test_several_draws_count_as_their_mean() -> None:
    assert averaged([days(2.0), days(4.0)]).mae == pytest.approx(days(3.0).mae)
