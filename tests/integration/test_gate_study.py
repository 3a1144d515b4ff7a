"""What the gate promises of its errors, cut down: `benchmarks/gate.py` is the whole study."""

from dataclasses import replace

import pytest
from scipy.stats import binom

from autoops.loop.decide.gate import GateVerdict
from autoops.settings import Gate
from benchmarks.gate import HELD_OUT, HOURS, MILES, UNREPORTED, Weeks, promoted_by_independent_days, worse_segments

pytestmark = pytest.mark.study

RUNS = 200


def most(rate: float) -> int:
    """More of RUNS would contradict the rate, at 99 %."""
    return int(binom.ppf(0.99, RUNS, rate))


def count(verdicts: list[GateVerdict], decision: str) -> int:
    return sum(verdict.decision == decision for verdict in verdicts)


@pytest.mark.parametrize(
    "weeks",
    [
        Weeks(5, 500),
        Weeks(7, 500, day_sd=0.05),
        replace(HELD_OUT, rows_a_day=500),
        replace(HELD_OUT, rows_a_day=500, persistence=0.4),
        replace(HELD_OUT, rows_a_day=500, weekly=0.7),
        Weeks(28, 300, persistence=0.4),
    ],
)
def test_a_model_that_is_no_better_is_hardly_ever_promoted(weeks: Weeks) -> None:
    verdicts = [weeks.verdict(seed) for seed in range(RUNS)]
    assert count(verdicts, "promote") <= most(0.025)
    assert sum(bool(worse_segments(verdict)) for verdict in verdicts) <= most(1 - Gate().confidence)


def test_intervals_of_independent_days_would_promote_more_of_them() -> None:
    weeks = Weeks(28, 300, day_sd=0.05, persistence=0.7)
    assert sum(promoted_by_independent_days(weeks, seed) for seed in range(RUNS)) > most(0.1)
    assert count([weeks.verdict(seed) for seed in range(RUNS)], "promote") <= most(0.035)


def test_a_model_worse_by_the_margin_everywhere_is_rejected_for_a_segment_as_rarely_as_configured() -> None:
    verdicts = [Weeks(7, 500).verdict(seed, effect=Gate().segment_margin) for seed in range(RUNS)]
    assert sum(bool(worse_segments(verdict)) for verdict in verdicts) <= most(1 - Gate().confidence)


@pytest.mark.parametrize("hurt", [*HOURS, *MILES, *UNREPORTED])
def test_a_model_worse_by_twice_the_margin_in_one_segment_is_rejected_for_it(hurt: str) -> None:
    verdicts = [Weeks(7).verdict(seed, -0.15, hurt, 2 * Gate().segment_margin) for seed in range(30)]
    assert sum(verdict.high < 0 for verdict in verdicts) >= 27
    assert sum(hurt in worse_segments(verdict) for verdict in verdicts) >= 20
    assert count(verdicts, "promote") == 0


def test_a_model_that_is_better_everywhere_is_not_held_up_by_its_segments() -> None:
    verdicts = [Weeks(7, 500).verdict(seed, effect=-0.04) for seed in range(50)]
    assert count(verdicts, "promote") == sum(verdict.high < 0 for verdict in verdicts) >= 35
