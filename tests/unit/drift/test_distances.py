from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autoops.drift.distances import (
    MULTIPLE,
    distance_of,
    evenly,
    jensen_shannon,
    matched,
    method,
    seasons,
    wasserstein,
)
from autoops.usecase import declaration
from tests.taxi import CONTRACT

Array = npt.NDArray[Any]

numbers = arrays(np.float64, st.integers(1, 60), elements=st.floats(0.0625, 99, width=32))
categories = arrays(np.int16, st.integers(1, 60), elements=st.integers(1, 265))
hours = arrays(np.int64, st.integers(1, 300), elements=st.integers(0, 167))


@given(numbers)
def test_a_sample_is_at_no_distance_from_itself(sample: Array) -> None:
    assert wasserstein(sample, sample) == 0


@given(categories)
def test_categories_are_at_no_distance_from_themselves(sample: Array) -> None:
    assert jensen_shannon(sample, sample) == pytest.approx(0, abs=1e-7)


@given(categories, categories)
def test_jensen_shannon_is_symmetric_and_bounded(one: Array, other: Array) -> None:
    found = jensen_shannon(one, other)
    assert found == pytest.approx(jensen_shannon(other, one), abs=1e-7)
    assert 0 <= found <= np.sqrt(np.log(2)) + 1e-9


@given(numbers, numbers)
def test_wasserstein_is_symmetric_but_for_the_norm(one: Array, other: Array) -> None:
    norms = [max(np.std(sample), 0.001) for sample in (one, other)]
    assert wasserstein(one, other) * norms[0] == pytest.approx(wasserstein(other, one) * norms[1], abs=1e-9)


@given(numbers, numbers, st.randoms(use_true_random=False))
def test_order_does_not_matter(reference: Array, current: Array, random: Any) -> None:
    shuffled = current.copy()
    random.shuffle(shuffled)
    for column in ("trip_distance", "pickup_location_id"):
        expected = pytest.approx(distance_of(CONTRACT, column, reference, current), abs=1e-9)
        assert distance_of(CONTRACT, column, reference, shuffled) == expected


def test_a_shift_of_one_standard_deviation_is_a_distance_of_one() -> None:
    sample = np.random.default_rng(0).normal(5, 2, 500)
    assert wasserstein(sample, sample + sample.std()) == pytest.approx(1)


def test_the_standard_deviation_is_that_of_the_reference() -> None:
    assert distance_of(CONTRACT, "trip_distance", np.array([0.0, 2.0]), np.array([4.0, 4.0])) == pytest.approx(3)


def test_disjoint_categories_are_as_far_apart_as_can_be() -> None:
    assert jensen_shannon(np.array([1, 2]), np.array([3, 4])) == pytest.approx(np.sqrt(np.log(2)))


def test_a_constant_reference_has_a_norm_all_the_same() -> None:
    assert wasserstein(np.zeros(5), np.full(5, 0.002)) == pytest.approx(2)


def test_zones_and_passengers_are_categories() -> None:
    methods = {name: method(CONTRACT, name) for name in (*CONTRACT.inputs, "prediction")}
    assert methods == {
        "trip_distance": "wasserstein",
        "passenger_count": "jensenshannon",
        "pickup_location_id": "jensenshannon",
        "dropoff_location_id": "jensenshannon",
        "prediction": "wasserstein",
    }


@given(st.integers(1, 500), st.integers(1, 500))
def test_rows_are_spread_evenly_and_none_is_taken_twice_without_need(rows: int, wanted: int) -> None:
    positions = evenly(rows, wanted)
    assert len(positions) == wanted
    assert positions.min() >= 0
    assert positions.max() < rows
    counts = np.bincount(positions, minlength=rows)
    assert counts.max() - counts.min() <= 1


def test_few_of_many_rows_lie_in_the_middle_of_equal_parts() -> None:
    assert evenly(100, 2).tolist() == [25, 75]


@given(hours)
def test_a_matched_reference_has_the_windows_mix_of_hours(current: Array) -> None:
    everything = np.tile(np.arange(168), 400)
    found = np.bincount(everything[matched(CONTRACT, everything, current)], minlength=168)
    assert (found == np.bincount(current, minlength=168) * MULTIPLE).all()


@given(hours, hours)
def test_matching_always_finds_rows_and_only_looks_at_hours(reference: Array, current: Array) -> None:
    positions = matched(CONTRACT, reference, current)
    assert len(positions) == len(current) * MULTIPLE
    assert (np.diff(positions) >= 0).all()
    assert (positions == matched(CONTRACT, reference, np.flip(current))).all()


@pytest.mark.parametrize(("seasonality", "number"), [("hour_of_week", 168), ("day_of_week", 7), ("none", 1)])
def test_hourly_rows_are_matched_within_the_declared_seasonality(seasonality: str, number: int) -> None:
    declared = {"name": "bikes", "event_time": {"column": "at", "zone": "Europe/Berlin"}, "target": {"column": "count"}}
    wind = {"features": {"wind": {"type": "float"}}, "drift": {"seasonality": seasonality}}
    contract = declaration.parse(declared | wind, "bikes.yaml")
    # Eight weeks of local hours, Monday to Sunday, without a change of the clocks.
    at = np.datetime64("2026-04-27", "h") - 2 + np.arange(8 * 168)
    found = seasons(contract, {"event_at": at.astype("datetime64[us]")})
    assert (found == np.arange(8 * 168) * number // 168 % number).all()
    monday, other = found[-168:-144], found[:-168]
    chosen = matched(contract, other, monday)
    # Mondays of all weeks where the seasonality tells days apart, days of all kinds where it does not.
    days = set((chosen // 24 % 7).tolist())
    assert days == ({0} if number > 1 else set(range(7)))
    assert len(set((chosen // 168).tolist())) >= MULTIPLE


def test_an_hour_that_the_reference_lacks_is_served_by_the_hours_around_it() -> None:
    reference = np.repeat([10, 12, 90], 50)
    assert set(reference[matched(CONTRACT, reference, np.full(20, 11))]) == {10, 12}


def test_sunday_night_is_beside_monday_morning() -> None:
    reference = np.repeat([167, 2, 80], 50)
    assert set(reference[matched(CONTRACT, reference, np.full(20, 0))]) == {167}


def test_an_hour_with_too_few_rows_is_joined_by_its_neighbours_before_any_row_repeats_more_than_need_be() -> None:
    reference = np.repeat([40, 41, 42], [30, 5, 30])
    positions = matched(CONTRACT, reference, np.full(40, 41))
    assert np.bincount(positions).max() <= MULTIPLE


def test_an_hour_with_just_enough_rows_is_joined_by_none() -> None:
    reference = np.repeat([40, 41, 42], 20)
    assert set(reference[matched(CONTRACT, reference, np.full(20, 41))]) == {41}


def test_where_the_whole_week_has_too_few_rows_all_of_them_serve_alike() -> None:
    found = np.bincount(matched(CONTRACT, np.arange(168), np.full(200, 3)), minlength=168)
    assert found.max() - found.min() <= 1
    assert set(matched(CONTRACT, np.full(50, 87), np.full(10, 3))) == set(range(50))


def test_every_week_of_the_reference_has_its_share() -> None:
    reference = np.tile(np.repeat(np.arange(168), 10), 4)
    weeks = np.arange(len(reference)) // 1680
    chosen = matched(CONTRACT, reference, np.repeat(np.arange(24), 4))
    assert np.bincount(weeks[chosen]).tolist() == [120, 120, 120, 120]


def test_rows_of_an_hour_are_taken_at_even_distances_in_time() -> None:
    hours = np.tile([10, 11], 500)
    assert matched(CONTRACT, hours, np.full(20, 11)).tolist() == list(range(5, 1000, 10))
