from itertools import pairwise

import pytest
from scipy.stats import multivariate_t, norm, t

from autoops.drift.schedule import Schedule, Uncertainty
from autoops.settings import Drift

CERTAIN = Uncertainty(1e9, 1e9)
FEW = Uncertainty(for_mean=6, for_variance=10)
DAILY = Schedule(365.25, 2, 3)


@pytest.mark.parametrize(
    ("drift", "rows_per_year", "windows"),
    [
        (Drift(window_size=1_000, check_interval_s=86_400), 800_000, 365.25),
        (Drift(window_size=5_000, check_interval_s=86_400), 800_000, 365.25 / 3),
        (Drift(window_size=1_000, check_interval_s=10), 400_000, 3_155_760 / 7_890),
        (Drift(window_size=1_000, check_interval_s=10, source="months"), 800_000, 36),
    ],
)
def test_windows_are_limited_by_checks_by_rows_and_by_months(
    drift: Drift, rows_per_year: float, windows: float
) -> None:
    assert Schedule.expected(drift, rows_per_year) == Schedule(pytest.approx(windows), 2, 3)


@pytest.mark.parametrize(
    ("judged", "filled", "skips"),
    [(365.25, 800, True), (52, 366, True), (52, 365.25, False), (340, 400, True), (360, 400, False), (400, 400, False)],
)
def test_checks_see_the_same_hours_where_windows_are_shorter_than_a_day_and_many_are_not_judged(
    judged: float, filled: float, skips: bool
) -> None:
    assert Schedule(judged, 2, 3).skips(rows_per_year=filled * 5_000, size=5_000) == skips


def test_a_single_alarm_is_an_incident_where_one_is_needed() -> None:
    assert Schedule(365.25, 1, 1).reach(1, [0.3], CERTAIN) == pytest.approx(norm.isf(1 / 365.25), abs=0.01)


def test_two_independent_alarms_of_three_may_each_be_frequent() -> None:
    p = (1 / (365 * 2)) ** 0.5
    assert DAILY.reach(1, [0.0, 0.0], CERTAIN) == pytest.approx(norm.isf(p), abs=0.01)


@pytest.mark.parametrize("variance", [1.0, 0.25])
def test_a_mean_and_a_deviation_from_few_windows_make_one_alarm_students_t(variance: float) -> None:
    reach = Schedule(365.25, 1, 1).reach(0.5, [0.3], FEW, variance)
    assert reach == pytest.approx(t.isf(0.5 / 365.25, df=9) * (variance + 1 / 6) ** 0.5, rel=1e-3)


@pytest.mark.parametrize("variance", [1.0, 0.25])
@pytest.mark.parametrize("known", [FEW, CERTAIN])
def test_two_alarms_of_three_share_the_error_of_the_mean_besides_their_correlation(
    known: Uncertainty, variance: float
) -> None:
    reach = DAILY.reach(1, [0.5, 0.2], known, variance)
    total = variance + 1 / known.for_mean
    alike = [(own * variance + 1 / known.for_mean) / total for own in (0.5, 0.2)]
    two = [multivariate_t(shape=[[1, r], [r, 1]], df=known.for_variance - 1, seed=0) for r in alike]
    together = sum(each.cdf([-reach / total**0.5] * 2, maxpts=100_000) for each in two)
    assert 365.25 * together == pytest.approx(1, rel=0.005)


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


def test_a_window_a_month_alarms_no_more_easily_than_one_a_day() -> None:
    assert Schedule(12, 2, 3).reach(1, [0.2, 0.2], CERTAIN) == DAILY.reach(1, [0.2, 0.2], CERTAIN)


def test_whoever_does_not_mind_being_woken_gets_no_limit() -> None:
    assert DAILY.reach(183, [0.0, 0.0], CERTAIN) == 0
    assert DAILY.reach(182, [0.0, 0.0], CERTAIN) > 0


def test_rare_incidents_after_two_windows_are_kept_to_by_a_limit_that_nothing_reaches() -> None:
    assert 1e5 < DAILY.reach(1e-4, [0.95, 0.95], Uncertainty(2, 2)) < float("inf")


@pytest.mark.parametrize(("needed", "of", "lags"), [(1, 1, [1]), (2, 2, [1]), (2, 3, [1, 2]), (3, 5, [1, 2, 3, 4])])
def test_alarms_of_one_incident_lie_less_than_its_windows_apart(needed: int, of: int, lags: list[int]) -> None:
    assert list(Schedule(365, needed, of).lags) == lags


def test_the_share_of_an_incident_is_that_of_its_alarms_together() -> None:
    assert DAILY.budget(0.5) == 0.25
    assert Schedule(365, 1, 1).budget(0.5) == 0.5
