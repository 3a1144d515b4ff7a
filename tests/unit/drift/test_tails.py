import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from autoops.drift.schedule import Schedule
from autoops.drift.tails import RECENT, Ordinary, autocorrelation, ewma, independent

ONE_IN_THREE = Schedule(windows_per_year=1_000, needed=1, of=3)
DAILY = Schedule(windows_per_year=365, needed=2, of=3)


def many(correlation: float, length: int, versions: int = 200) -> np.ndarray:
    """Series in rows, each as `autoregressive` makes one."""
    news = np.random.default_rng(versions).normal(size=(length + 30, versions)) * np.sqrt(1 - correlation**2)
    values = [np.zeros(versions)]
    for each in news:
        values.append(correlation * values[-1] + each)
    return np.array(values[31:]).T


def autoregressive(correlation: float, length: int, seed: int) -> np.ndarray:
    news = np.random.default_rng(seed).normal(size=length) * np.sqrt(1 - correlation**2)
    values = [0.0]
    for each in news:
        values.append(correlation * values[-1] + each)
    return np.array(values[1:])


def test_independent_windows_count_fully() -> None:
    for_mean, for_variance = independent(np.random.default_rng(0).normal(size=2000))
    assert for_mean == pytest.approx(2000, rel=0.15)
    assert for_variance == pytest.approx(2000, rel=0.05)


def test_windows_that_resemble_the_last_one_count_for_less() -> None:
    for_mean, for_variance = independent(autoregressive(0.6, 20_000, seed=1))
    assert for_mean == pytest.approx(20_000 * (1 - 0.6) / (1 + 0.6), rel=0.15)
    assert for_variance == pytest.approx(20_000 * (1 - 0.36) / (1 + 0.36), rel=0.1)


def incidents(beyond: np.ndarray) -> np.ndarray:
    """By series, one a row: alarms with another one in the two windows before."""
    earlier = np.zeros_like(beyond)
    for lag in (1, 2):
        earlier[:, lag:] |= beyond[:, :-lag]
    return (beyond & earlier).sum(axis=1)


@pytest.mark.parametrize("windows", [4, 10, 50])
def test_of_independent_windows_the_bound_is_that_of_one_more_normal_value(windows: int) -> None:
    series = 2 + np.resize([1.0, -1.0], windows) * np.linspace(1, 2, windows)
    once = Ordinary(Schedule(windows_per_year=1_000, needed=1, of=1))
    beyond = t.isf(1 / 1_000, df=windows - 1) * series.std(ddof=1)
    of_mean = {told_by: series.mean() + beyond * (1 + 1 / told_by) ** 0.5 for told_by in (windows, windows / 2)}
    of_recent = series.mean() + beyond * (RECENT / (2 - RECENT) + 1 / windows) ** 0.5
    assert once.upper_bound(series, 1) == pytest.approx(of_mean[windows], rel=1e-3)
    assert once.upper_bound(series, 1, levelled=0.5) == pytest.approx(of_mean[windows / 2], rel=1e-3)
    assert once.upper_bound_of_ewma(series, 1) == pytest.approx(of_recent, rel=1e-3)


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_the_bound_of_the_recent_average_is_that_of_a_series_of_averages(correlation: float) -> None:
    series, five = autoregressive(correlation, 3_000, seed=1), Ordinary(Schedule(365, 2, 5))
    averages = [ewma(list(series[max(0, last - 50) : last][::-1]), 0.0) for last in range(1, 3_001)]
    assert five.upper_bound_of_ewma(series, 1) == pytest.approx(five.upper_bound(np.array(averages), 1), rel=0.01)


@pytest.mark.study
@pytest.mark.parametrize(("length", "correlation"), [(20, 0.0), (40, 0.3), (90, 0.0), (90, 0.6)])
@pytest.mark.parametrize("wanted", [0.5, 3.0])
def test_versions_that_learned_from_little_keep_to_the_yearly_rate_on_the_average(
    length: int, correlation: float, wanted: float
) -> None:
    years = many(correlation, length + 60 + 365)
    bounds = np.array([Ordinary(DAILY).upper_bound(history, wanted) for history in years[:, :length]])
    found = incidents(years[:, -365:] > bounds[:, None])
    assert found.mean() <= wanted + 2 * found.std() / np.sqrt(len(found))
    assert found.mean() > wanted / 5


@pytest.mark.study
def test_a_mean_that_few_values_tell_keeps_to_the_same_rate_where_that_is_said() -> None:
    wanted, told_by = 1.0, 9
    years = many(0.0, 90 + 60 + 365)
    off = years[:, :told_by].mean(axis=1) - years[:, :90].mean(axis=1)
    counts = {}
    for levelled in (told_by / 90, 1.0):
        bounds = [
            Ordinary(DAILY).upper_bound(history + error, wanted, levelled)
            for history, error in zip(years[:, :90], off, strict=True)
        ]
        counts[levelled] = incidents(years[:, -365:] > np.array(bounds)[:, None])
    said, unsaid = counts.values()
    assert said.mean() <= wanted + 2 * said.std() / np.sqrt(len(said))
    assert unsaid.mean() > wanted + 2 * unsaid.std() / np.sqrt(len(unsaid))


@pytest.mark.study
@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_the_average_of_recent_windows_keeps_to_the_same_rate(correlation: float) -> None:
    wanted = 2.0
    years = many(correlation, 90 + 60 + 365)
    bounds = np.array([Ordinary(DAILY).upper_bound_of_ewma(history, wanted) for history in years[:, :90]])
    means = years[:, :90].mean(axis=1)
    averages = [means]
    for value in years[:, -365:].T:
        averages.append(averages[-1] + RECENT * (value - averages[-1]))
    beyond = bounds[:, None] < np.array(averages[1:]).T
    found = incidents(beyond)
    assert found.mean() <= wanted + 2 * found.std() / np.sqrt(len(found))
    assert found.mean() > wanted / 5


def test_the_recent_average_is_weighted_towards_the_newest_window() -> None:
    assert ewma([], 0.5) == 0.5
    assert ewma([1.0], 0.0) == pytest.approx(0.4)
    assert ewma([1.0, 0.0], 0.0) == pytest.approx(0.4)
    assert ewma([0.0, 1.0], 0.0) == pytest.approx(0.4 * 0.6)


def test_windows_that_resemble_each_other_need_a_wider_bound() -> None:
    alike, unlike = autoregressive(0.7, 2000, seed=1), np.random.default_rng(1).normal(size=2000)
    wide, narrow = (Ordinary(DAILY).upper_bound(series, 1) / series.std() for series in (alike, unlike))
    assert wide > narrow + 0.5


def test_windows_further_apart_resemble_each_other_as_those_of_a_series_of_their_own() -> None:
    series = autoregressive(0.8, 20_000, seed=1)
    for bound in (Ordinary.upper_bound, Ordinary.upper_bound_of_ewma):
        every, near = (bound(Ordinary(DAILY, step), series, 1) for step in (3, 1))
        assert every == pytest.approx(bound(Ordinary(DAILY), series[::3], 1), rel=0.02)
        assert every < near * 0.95


def test_the_correlation_of_a_short_series_is_not_guessed() -> None:
    again = np.array([1.0, 2.0, 2.0] * 2)
    assert autocorrelation(again[:4], 2) == autocorrelation(again, 3) == 0
    assert autocorrelation(again, 2) != 0


def test_the_correlation_of_few_windows_is_right_on_the_average_however_little_they_differ() -> None:
    found = [autocorrelation(series / 1_000, 1) for series in many(0.5, 100, versions=4_000)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.003)


def test_a_history_that_only_rises_is_worth_few_windows_and_has_a_bound() -> None:
    assert independent(np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])) == (2, 2)
    rising = np.arange(100.0)
    assert rising.max() < Ordinary(DAILY).upper_bound(rising, 1) < np.inf


def test_a_series_with_a_value_a_day_holds_windows_of_a_week_every_seventh_value() -> None:
    weekly = Ordinary.of(DAILY, every_days=1, window_days=7)
    assert weekly.step == 7
    assert weekly.schedule.windows_per_year == pytest.approx(365.25 / 7)
    assert Ordinary.of(DAILY, every_days=0.5, window_days=0.4).step == 2
    assert Ordinary.of(DAILY, every_days=3, window_days=0.4).step == 1


def test_distances_are_bounded_on_the_scale_of_their_logarithm() -> None:
    distances = np.exp(np.random.default_rng(5).normal(-3, 0.4, 500))
    bound = Ordinary(ONE_IN_THREE).upper_bound_of_distances(distances, 1)
    assert np.log(bound) == pytest.approx(Ordinary(ONE_IN_THREE).upper_bound(np.log(distances), 1))


def test_windows_that_never_differ_leave_no_room() -> None:
    assert Ordinary(DAILY).upper_bound(np.full(20, 0.25), 1) == pytest.approx(0.25)
    assert Ordinary(DAILY).upper_bound_of_distances(np.zeros(20), 1) == pytest.approx(0.001)


@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=40))
def test_there_is_a_bound_for_any_history(distances: list[float]) -> None:
    bound = Ordinary(DAILY).upper_bound_of_distances(np.array(distances), 1)
    assert bound >= np.exp(np.mean(np.log(np.maximum(distances, 0.001)))) * (1 - 1e-9)


def test_a_few_windows_of_different_seasons_do_not_allow_every_distance() -> None:
    """A year in which windows are near the reference, and far from it, by turns of some weeks."""
    seasons = np.repeat([0.2, 1.5, 0.3, 1.2], 3) + np.random.default_rng(0).normal(0, 0.05, 12)
    daily = Ordinary(DAILY)
    assert daily.upper_bound_of_distances(seasons, 0.1) > 10
    noticed = daily.upper_bound_of_distances(seasons, 0.1, noticed=3.0)
    assert noticed == pytest.approx(max(3.0, daily.upper_bound(seasons, 0.1)))


def test_a_limit_that_notices_enough_stays() -> None:
    alike = np.random.default_rng(0).normal(0.3, 0.02, 60)
    daily = Ordinary(DAILY)
    assert daily.upper_bound_of_distances(alike, 1, noticed=3.0) == daily.upper_bound_of_distances(alike, 1)
