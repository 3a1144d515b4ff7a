import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from autoops.drift.tails import independent, upper_bound, upper_bound_of_distances


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


def test_with_much_history_the_bound_is_the_normal_quantile() -> None:
    bound = upper_bound(np.random.default_rng(3).normal(size=5000), 0.01)
    assert bound == pytest.approx(norm.ppf(0.99), rel=0.05)


@pytest.mark.parametrize(("length", "correlation"), [(4, 0.0), (8, 0.0), (25, 0.0), (25, 0.3), (90, 0.6)])
def test_in_nine_versions_of_ten_ordinary_values_exceed_the_bound_no_more_often_than_configured(
    length: int, correlation: float
) -> None:
    """Of a dozen windows no strong correlation can be told from chance: that is not promised."""
    rate, versions = 0.005, 400
    beyond = norm.isf(rate)
    kept = [
        upper_bound(autoregressive(correlation, length + 60, seed)[60:], rate) >= beyond for seed in range(versions)
    ]
    assert np.mean(kept) >= 0.9 - 2 * np.sqrt(0.9 * 0.1 / versions)


def test_less_history_means_a_wider_bound() -> None:
    values = np.random.default_rng(4).normal(size=400)
    bounds = [upper_bound((values[:n] - values[:n].mean()) / values[:n].std(), 0.001) for n in (6, 20, 400)]
    assert bounds == sorted(bounds, reverse=True)


@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=40))
def test_no_ordinary_window_seen_is_beyond_a_rare_bound(distances: list[float]) -> None:
    assert upper_bound_of_distances(np.array(distances), 0.001) >= max(distances) * (1 - 1e-9)


def test_windows_that_never_differ_leave_no_room() -> None:
    assert upper_bound(np.full(20, 0.25), 0.01) == pytest.approx(0.25)
