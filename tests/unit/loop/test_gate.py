import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.loop.gate import MIN_DAYS, decide
from autoops.settings import Gate

GATE = Gate(resamples=400)


def paired(shift: float, rows: int = 2_000, day_sd: float = 0.0, seed: int = 0):
    """Errors of a champion and of a challenger that is `shift` minutes worse, over ten days."""
    rng = np.random.default_rng(seed)
    days = np.repeat(np.arange(10), rows // 10)
    champion = rng.gamma(2, 1.4, rows)
    challenger = champion + shift + rng.normal(0, 0.3, rows) + rng.normal(0, day_sd, 10)[days]
    return champion, challenger, days


def test_a_clearly_better_challenger_is_promoted_with_its_interval() -> None:
    verdict = decide(*paired(-0.3), GATE)
    assert verdict.decision == "promote"
    assert verdict.low is not None
    assert verdict.low < verdict.difference < verdict.high < 0
    assert verdict.rows == 2_000
    assert verdict.days == 10
    assert "better than the champion" in verdict.reason


def test_a_clearly_worse_challenger_is_rejected() -> None:
    verdict = decide(*paired(+0.3), GATE)
    assert verdict.decision == "reject"
    assert verdict.low > 0


def test_a_difference_within_the_variation_of_days_is_inconclusive() -> None:
    """Rows alone would call this significant; whole days do not."""
    verdict = decide(*paired(-0.1, day_sd=0.5, seed=3), GATE)
    assert verdict.decision == "inconclusive"
    assert verdict.low < 0 < verdict.high


def test_no_unseen_row_means_holdout_seen() -> None:
    nothing = np.array([])
    verdict = decide(nothing, nothing, nothing, GATE)
    assert verdict.decision == "inconclusive"
    assert "holdout seen" in verdict.reason


@pytest.mark.parametrize(("rows", "days"), [(GATE.min_rows - 1, 10), (5_000, MIN_DAYS - 1)])
def test_too_few_rows_or_days_are_inconclusive_however_large_the_difference(rows: int, days: int) -> None:
    champion = np.full(rows, 9.0)
    verdict = decide(champion, champion - 5, np.arange(rows) % days, GATE)
    assert verdict.decision == "inconclusive"
    assert str(rows) in verdict.reason


@given(st.floats(-1, 1), st.integers(0, 50))
def test_swapping_the_models_mirrors_the_verdict(shift: float, seed: int) -> None:
    champion, challenger, days = paired(shift, rows=600, day_sd=0.2, seed=seed)
    there, back = decide(champion, challenger, days, GATE), decide(challenger, champion, days, GATE)
    assert back.difference == pytest.approx(-there.difference)
    mirror = {"promote": "reject", "reject": "promote", "inconclusive": "inconclusive"}
    assert back.decision == mirror[there.decision]


@given(st.integers(0, 100))
def test_a_model_against_itself_is_never_promoted(seed: int) -> None:
    champion, _, days = paired(0, rows=600, seed=seed)
    assert decide(champion, champion, days, GATE).decision == "inconclusive"


@given(st.integers(0, 20))
def test_the_order_of_the_rows_does_not_matter(seed: int) -> None:
    champion, challenger, days = paired(-0.1, rows=600, day_sd=0.2, seed=seed)
    order = np.random.default_rng(seed).permutation(len(days))
    first, second = (
        decide(champion, challenger, days, GATE),
        decide(champion[order], challenger[order], days[order], GATE),
    )
    assert first.decision == second.decision
    assert first.low == pytest.approx(second.low)
