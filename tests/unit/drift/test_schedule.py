from itertools import pairwise

import pytest
from scipy.stats import multivariate_normal, norm

from autoops.drift.schedule import Schedule, Uncertainty
from autoops.settings import Drift

CERTAIN = Uncertainty(1e9, 1e9)
DAILY = Schedule(365.25, 2, 3)


@pytest.mark.parametrize(
    ("drift", "rows_per_year", "windows"),
    [
        (Drift(window_size=1_000, check_interval_s=86_400), 800_000, 365.25),
        (Drift(window_size=5_000, check_interval_s=86_400), 800_000, 365.25 / 3),
        (Drift(window_size=1_000, check_interval_s=10), 400_000, 400),
        (Drift(window_size=1_000, check_interval_s=10, source="months"), 800_000, 36),
    ],
)
def test_windows_are_limited_by_checks_by_rows_and_by_months(
    drift: Drift, rows_per_year: float, windows: float
) -> None:
    assert Schedule.expected(drift, rows_per_year) == Schedule(pytest.approx(windows, rel=1e-3), 2, 3)


def test_a_single_alarm_is_an_incident_where_one_is_needed() -> None:
    assert Schedule(365.25, 1, 1).reach(1, [0.3], CERTAIN) == pytest.approx(norm.isf(1 / 365.25), abs=0.01)


def test_two_independent_alarms_of_three_may_each_be_frequent() -> None:
    p = (1 / (365 * 2)) ** 0.5
    assert DAILY.reach(1, [0.0, 0.0], CERTAIN) == pytest.approx(norm.isf(p), abs=0.01)


def test_correlated_alarms_are_counted_by_the_bivariate_normal() -> None:
    reach = DAILY.reach(1, [0.5, 0.2], CERTAIN)
    together = [multivariate_normal([0, 0], [[1, r], [r, 1]]).cdf([-reach, -reach]) for r in (0.5, 0.2)]
    assert 365 * sum(together) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(
    "reaches",
    [
        [DAILY.reach(1, [r, r], CERTAIN) for r in (0, 0.3, 0.6, 0.9)],
        [DAILY.reach(rate, [0.2, 0.2], CERTAIN) for rate in (8, 1, 0.1)],
        [DAILY.reach(1, [0.2, 0.2], Uncertainty(n, n)) for n in (1000, 40, 10, 3)],
        [Schedule(windows, 2, 3).reach(1, [0.2, 0.2], CERTAIN) for windows in (366, 730, 8766)],
        [Schedule(365, needed, 4).reach(1, [0.2, 0.2, 0.2], CERTAIN) for needed in (4, 3, 2, 1)],
    ],
    ids=["resemblance", "rarer incidents", "less history", "more windows", "less persistence"],
)
def test_the_limit_grows_with(reaches: list[float]) -> None:
    assert all(nearer < farther for nearer, farther in pairwise(reaches))


def test_the_recent_average_varies_less_than_a_window() -> None:
    once, averaged = (DAILY.reach(1, [0.0, 0.0], CERTAIN, variance) for variance in (1.0, 0.25))
    assert averaged == pytest.approx(once / 2, rel=0.01)


def test_a_window_a_month_alarms_no_more_easily_than_one_a_day() -> None:
    assert Schedule(12, 2, 3).reach(1, [0.2, 0.2], CERTAIN) == DAILY.reach(1, [0.2, 0.2], CERTAIN)


def test_whoever_does_not_mind_being_woken_gets_no_limit() -> None:
    assert DAILY.reach(1_000, [0.0, 0.0], CERTAIN) == 0


def test_the_share_of_an_incident_is_that_of_its_alarms_together() -> None:
    assert DAILY.budget(0.5) == 0.25
    assert Schedule(365, 1, 1).budget(0.5) == 0.5
