import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.drift.performance import ErrorLimits, judge_errors, limits, out_of_sample

ALLOWED = ErrorLimits(signed_mean=0.0, signed_low=-1.0, signed_high=1.0, absolute_mean=3.0, absolute_high=4.0)


def errors(signed: float, absolute: float) -> np.ndarray:
    """Two hundred errors with these means, in minutes."""
    share = (absolute + signed) / (2 * absolute)
    ups = round(200 * share)
    return np.concatenate([np.full(ups, absolute), np.full(200 - ups, -absolute)])


@pytest.mark.parametrize(
    ("signed", "absolute", "alarm", "says"),
    [
        (0.31, 3.1, False, "0.31 minutes too long on average; ordinary windows stay between -1.00 and +1.00"),
        (1.5, 3.2, True, "1.50 minutes too long"),
        (-1.5, 3.2, True, "1.50 minutes too short"),
        (0.2, 5.0, True, "the mean absolute error is 5.00 minutes; ordinary windows stay below 4.00"),
        (0.0, 1.0, False, "minutes"),
        (
            -1.5,
            5.0,
            True,
            "too short on average; ordinary windows stay between -1.00 and +1.00; the mean absolute error",
        ),
    ],
)
def test_what_counts_as_loss(signed: float, absolute: float, alarm: bool, says: str) -> None:
    loss = judge_errors(errors(signed, absolute), ALLOWED)
    assert (loss.excess >= 1) == alarm
    assert says in loss.reason
    assert loss.signed == pytest.approx(signed, abs=0.05)
    assert loss.absolute == pytest.approx(absolute)


def test_smaller_errors_are_no_loss() -> None:
    assert judge_errors(np.zeros(100), ALLOWED).excess == 0


def test_limits_lie_around_what_was_ordinary() -> None:
    rng = np.random.default_rng(0)
    found = limits(rng.normal(0.2, 0.3, 200), rng.normal(3, 0.2, 200), rate=0.004)
    assert found.signed_mean == pytest.approx(0.2, abs=0.1)
    assert found.signed_low == pytest.approx(0.2 - 3.2 * 0.3, abs=0.15)
    assert found.signed_high == pytest.approx(0.2 + 3.2 * 0.3, abs=0.15)
    assert found.absolute_high == pytest.approx(3 + 3 * 0.2, abs=0.15)


def test_the_narrower_limits_of_both_hold() -> None:
    other = ErrorLimits(0.1, -0.5, 2.0, 3.0, 3.5)
    assert other.within(ALLOWED) == ErrorLimits(0.1, -0.5, 1.0, 3.0, 3.5)


def test_errors_on_fitted_rows_are_widened_to_those_on_held_out_rows() -> None:
    rng = np.random.default_rng(0)
    fitted, held_out = rng.normal(0, 2, 5000), rng.normal(0.4, 3, 900)
    widened = out_of_sample(fitted, held_out)
    assert np.sqrt(np.mean(widened**2)) == pytest.approx(np.sqrt(np.mean(held_out**2)))


@given(st.floats(0.1, 5), st.floats(0.1, 5))
def test_errors_are_never_made_smaller(inside: float, outside: float) -> None:
    assert (np.abs(out_of_sample(np.full(9, inside), np.full(9, outside))) >= inside).all()


def test_without_a_holdout_errors_stay_as_they_are() -> None:
    assert out_of_sample(np.array([1.0, -2.0]), np.array([])).tolist() == [1.0, -2.0]
