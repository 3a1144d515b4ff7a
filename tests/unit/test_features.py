from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.errors import SettingsError
from autoops.features import FEATURES, check_features, feature_matrix, hour_of_week
from autoops.serving.payloads.schemas import Trip
from autoops.trips import TRIP_COLUMNS, Columns

ALL = tuple(FEATURES)
around_clock_changes = st.one_of(
    st.datetimes(datetime(2022, 3, 13, 4), datetime(2022, 3, 13, 10)),
    st.datetimes(datetime(2022, 11, 6, 3), datetime(2022, 11, 6, 9)),
)
moments = st.one_of(around_clock_changes, st.datetimes(datetime(2009, 1, 1), datetime(2035, 12, 31)))
trip_tuples = st.tuples(moments, st.floats(0.01, 99.9), st.integers(0, 9), st.integers(1, 265), st.integers(1, 265))


def columns(trips: list[tuple]) -> Columns:
    pickup_at, distance, passengers, pickup, dropoff = zip(*trips, strict=True)
    return {
        "pickup_at": np.array(pickup_at, dtype="datetime64[us]"),
        "trip_distance": np.array(distance, dtype=np.float64),
        "passenger_count": np.array(passengers, dtype=np.int16),
        "pickup_location_id": np.array(pickup, dtype=np.int16),
        "dropoff_location_id": np.array(dropoff, dtype=np.int16),
    }


@given(st.lists(trip_tuples, min_size=1, max_size=20))
def test_the_calendar_is_new_yorks_on_every_day_of_the_year(trips):
    local = pd.DatetimeIndex([trip[0] for trip in trips], tz="UTC").tz_convert("America/New_York")
    matrix = feature_matrix(columns(trips), ("hour", "day_of_week", "month"))

    assert matrix[:, 0].tolist() == list(local.hour)
    assert matrix[:, 1].tolist() == list(local.dayofweek)
    assert matrix[:, 2].tolist() == list(local.month)
    assert hour_of_week(columns(trips)["pickup_at"]).tolist() == list(local.dayofweek * 24 + local.hour)


@given(st.lists(trip_tuples, min_size=2, max_size=20), st.permutations(ALL))
def test_a_trip_has_the_same_features_alone_and_in_a_batch_in_the_order_that_was_asked_for(trips, names):
    batch = feature_matrix(columns(trips), names)

    assert (batch.dtype, batch.shape) == (np.float32, (len(trips), len(names)))
    for position, trip in enumerate(trips):
        assert np.array_equal(feature_matrix(columns([trip]), names)[0], batch[position])
    in_order = feature_matrix(columns(trips), ALL)
    assert np.array_equal(batch, in_order[:, [ALL.index(name) for name in names]])


def test_what_is_no_calendar_is_passed_on_as_it_is():
    trip = (datetime(2022, 7, 1, 16, 30), 2.5, 3, 74, 265)

    assert dict(zip(ALL, feature_matrix(columns([trip]), ALL)[0].tolist(), strict=True)) == {
        "trip_distance": 2.5,
        "passenger_count": 3,
        "hour": 12,
        "day_of_week": 4,
        "month": 7,
        "pickup_location_id": 74,
        "dropoff_location_id": 265,
    }


def test_no_trips_have_a_matrix_without_rows():
    none = {name: values[:0] for name, values in columns([(datetime(2022, 1, 1), 1.0, 1, 1, 1)]).items()}

    assert feature_matrix(none, ALL).shape == (0, len(ALL))


class Asked(dict[str, np.ndarray]):
    """Notes which columns are read."""

    def __init__(self, trips: Columns) -> None:
        super().__init__(trips)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.names.add(name)
        return super().__getitem__(name)


def test_features_are_made_of_what_a_client_tells_before_the_trip_and_of_no_name():
    """Not of how it went or what it cost, and not of `request_id`, which may say whose it is."""
    known = Asked(columns([(datetime(2022, 7, 1, 16, 30), 2.5, 3, 74, 265)]))
    feature_matrix(known, ALL)

    assert known.names == {*TRIP_COLUMNS} == {*Trip.model_fields} - {"request_id"}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("trip_distance", "speed"), "'speed' is none of trip_distance"),
        (("hour", "hour"), "each listed once"),
        ((), "at least one feature"),
    ],
)
def test_features_that_do_not_exist_are_refused_by_name(names, said):
    with pytest.raises(SettingsError, match=said):
        check_features(names)


def test_every_feature_there_is_may_be_listed():
    check_features(ALL)
