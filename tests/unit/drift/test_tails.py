import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from autoops.drift.schedule import Schedule
from autoops.drift.tails import RECENT, Ordinary, autocorrelation, independent, recent

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


def test_with_much_history_and_no_persistence_the_bound_is_the_normal_quantile() -> None:
    once = Schedule(windows_per_year=1_000, needed=1, of=1)
    bound = Ordinary(once).upper_bound(np.random.default_rng(3).normal(size=5000), 1)
    assert bound == pytest.approx(norm.ppf(0.999), rel=0.05)


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


@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_the_average_of_recent_windows_keeps_to_the_same_rate(correlation: float) -> None:
    wanted = 2.0
    years = many(correlation, 90 + 60 + 365)
    bounds = np.array([Ordinary(DAILY).upper_bound_of_recent(history, wanted) for history in years[:, :90]])
    means = years[:, :90].mean(axis=1)
    averages = [means]
    for value in years[:, -365:].T:
        averages.append(averages[-1] + RECENT * (value - averages[-1]))
    beyond = bounds[:, None] < np.array(averages[1:]).T
    found = incidents(beyond)
    assert found.mean() <= wanted + 2 * found.std() / np.sqrt(len(found))
    assert found.mean() > wanted / 5


def test_the_recent_average_is_weighted_towards_the_newest_window() -> None:
    assert recent([], 0.5) == 0.5
    assert recent([1.0], 0.0) == pytest.approx(RECENT)
    assert recent([1.0, 0.0], 0.0) == pytest.approx(RECENT)
    assert recent([0.0, 1.0], 0.0) == pytest.approx(RECENT * (1 - RECENT))


def test_windows_that_resemble_each_other_need_a_wider_bound() -> None:
    alike, unlike = autoregressive(0.7, 2000, seed=1), np.random.default_rng(1).normal(size=2000)
    wide, narrow = (Ordinary(DAILY).upper_bound(series, 1) / series.std() for series in (alike, unlike))
    assert wide > narrow + 0.5


def test_windows_further_apart_resemble_each_other_less() -> None:
    series = autoregressive(0.7, 2000, seed=1)
    near, far = (Ordinary(DAILY, step).upper_bound(series, 1) for step in (1, 10))
    assert far < near


def test_the_correlation_of_a_short_series_is_not_guessed() -> None:
    assert autocorrelation(np.array([1.0, 2.0, 1.0, 2.0]), 2) == 0
    assert autocorrelation(autoregressive(0.6, 5000, seed=2), 1) == pytest.approx(0.6, abs=0.05)


def test_a_series_with_a_value_a_day_holds_windows_of_a_week_every_seventh_value() -> None:
    weekly = Ordinary.of(DAILY, every_days=1, window_days=7)
    assert weekly.step == 7
    assert weekly.schedule.windows_per_year == pytest.approx(365.25 / 7)
    assert Ordinary.of(DAILY, every_days=0.5, window_days=0.4).step == 2


def test_less_history_means_a_wider_bound() -> None:
    values = np.random.default_rng(4).normal(size=400)
    scaled = [(values[:n] - values[:n].mean()) / values[:n].std() for n in (6, 20, 400)]
    bounds = [Ordinary(ONE_IN_THREE).upper_bound(series, 1) for series in scaled]
    assert bounds == sorted(bounds, reverse=True)


def test_distances_are_bounded_on_the_scale_of_their_logarithm() -> None:
    distances = np.exp(np.random.default_rng(5).normal(-3, 0.4, 500))
    bound = Ordinary(ONE_IN_THREE).upper_bound_of_distances(distances, 1)
    assert np.log(bound) == pytest.approx(Ordinary(ONE_IN_THREE).upper_bound(np.log(distances), 1))


def test_windows_that_never_differ_leave_no_room() -> None:
    assert Ordinary(DAILY).upper_bound(np.full(20, 0.25), 1) == pytest.approx(0.25)


@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=40))
def test_there_is_a_bound_for_any_history(distances: list[float]) -> None:
    bound = Ordinary(DAILY).upper_bound_of_distances(np.array(distances), 1)
    assert bound >= np.exp(np.mean(np.log(np.maximum(distances, 0.001)))) * (1 - 1e-9)
