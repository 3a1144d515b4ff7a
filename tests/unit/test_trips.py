import numpy as np
import pandas as pd
import pytest

from autoops import trips
from autoops.trips import DISTANCE_MILES, DURATION_MINUTES, LOCATION_ID, PASSENGER_COUNT, Bounds, columns_of


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        (DISTANCE_MILES, [0.01, 99.99], [0, 100, -1]),
        (DURATION_MINUTES, [1, 60], [0.99, 60.01]),
        (LOCATION_ID, [1, 265], [0, 266]),
        (PASSENGER_COUNT, [0, 9], [-1, 10]),
        (Bounds(0, 1, low_open=True), [1], [0]),
    ],
)
def test_bounds_hold_what_lies_within(bounds, inside, outside):
    assert bounds.contains(np.array(inside)).all()
    assert not bounds.contains(np.array([*outside, np.nan])).any()


def test_columns_of_a_frame_are_its_trip_columns_in_utc_without_a_zone():
    frame = pd.DataFrame(
        {
            "pickup_at": pd.to_datetime(["2022-07-01T12:00:00-04:00", "2022-07-01T13:00:00-04:00"]).tz_convert("UTC"),
            "trip_distance": [1.5, 2.5],
            "passenger_count": np.array([0, 1], dtype=np.int16),
            "pickup_location_id": np.array([74, 75], dtype=np.int16),
            "dropoff_location_id": np.array([41, 42], dtype=np.int16),
            trips.TARGET: [10.0, 12.0],
        }
    )
    columns = columns_of(frame)

    assert set(columns) == set(trips.TRIP_COLUMNS)
    assert columns["pickup_at"].dtype == "datetime64[us]"
    assert columns["pickup_at"].tolist() == [pd.Timestamp("2022-07-01T16:00"), pd.Timestamp("2022-07-01T17:00")]
    assert columns["dropoff_location_id"].tolist() == [41, 42]
