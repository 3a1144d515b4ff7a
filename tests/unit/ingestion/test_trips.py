import numpy as np
import pandas as pd
import pytest

from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.contract import Bounds
from autoops.usecases.taxi.trips import DISTANCE_MILES, DURATION_MINUTES, LABEL_MINUTES, LOCATION_ID, PASSENGER_COUNT
from tests.taxi import CONTRACT, TRIP_COLUMNS


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        (DISTANCE_MILES, [0.01, 99.99], [0, 100, -1]),
        (DURATION_MINUTES, [1, 60], [0.99, 60.01]),
        (LOCATION_ID, [1, 265], [0, 266]),
        (PASSENGER_COUNT, [0, 9], [-1, 10]),
    ],
)
def test_bounds_hold_what_lies_within(bounds, inside, outside):
    assert bounds.contains(np.array(inside)).all()
    assert not bounds.contains(np.array([*outside, np.nan])).any()


@pytest.mark.parametrize(
    ("bounds", "declared"),
    [
        (DISTANCE_MILES, CONTRACT.features["trip_distance"]),
        (DURATION_MINUTES, CONTRACT.target),
        (LABEL_MINUTES, CONTRACT.target.accepts),
        (LOCATION_ID, CONTRACT.features["pickup_location_id"]),
        (LOCATION_ID, CONTRACT.features["dropoff_location_id"]),
        (PASSENGER_COUNT, CONTRACT.features["passenger_count"]),
    ],
)
def test_bounds_of_raw_trips_are_those_of_the_declaration(bounds: Bounds, declared: Bounds) -> None:
    ends = ("above", "at_least", "below", "at_most")
    assert [getattr(bounds, end) for end in ends] == [getattr(declared, end) for end in ends]


def test_columns_of_a_frame_are_its_trip_columns_in_utc_without_a_zone():
    frame = pd.DataFrame(
        {
            "event_at": pd.to_datetime(["2022-07-01T12:00:00-04:00", "2022-07-01T13:00:00-04:00"]).tz_convert("UTC"),
            "trip_distance": [1.5, 2.5],
            "passenger_count": np.array([0, 1], dtype=np.int16),
            "pickup_location_id": np.array([74, 75], dtype=np.int16),
            "dropoff_location_id": np.array([41, 42], dtype=np.int16),
            TARGET: [10.0, 12.0],
        }
    )
    columns = columns_of(frame)

    assert set(columns) == set(TRIP_COLUMNS)
    assert columns["event_at"].dtype == "datetime64[us]"
    assert columns["event_at"].tolist() == [pd.Timestamp("2022-07-01T16:00"), pd.Timestamp("2022-07-01T17:00")]
    assert columns["dropoff_location_id"].tolist() == [41, 42]
