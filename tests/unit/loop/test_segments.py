from datetime import datetime

import numpy as np
import pytest
from pydantic import ValidationError

from autoops.errors import SettingsError
from autoops.settings import Gate, Settings
from autoops.usecase.columns import Columns
from autoops.usecases.taxi.trips import NEW_YORK
from tests.taxi import CONTRACT, segments_of


def trips(*, hours=(12,), miles=(1.0,), passengers=(1,), zones=((41, 74),), day=4) -> Columns:
    """On a day of January 2023, the 4th being a Wednesday, by New York hours; a shorter column repeats itself."""
    rows = max(map(len, (hours, miles, passengers, zones)))
    moments = [datetime(2023, 1, day, hour, 30, tzinfo=NEW_YORK).timestamp() for hour in hours]
    columns = {
        "event_at": (np.array(moments) * 1e6).astype("datetime64[us]"),
        "trip_distance": np.array(miles, dtype=float),
        "passenger_count": np.array(passengers),
        "pickup_location_id": np.array([pickup for pickup, _ in zones]),
        "dropoff_location_id": np.array([dropoff for _, dropoff in zones]),
    }
    return {name: np.resize(values, rows) for name, values in columns.items()}


def bands(columns: Columns, name: str) -> list[str]:
    """The band of each row; fails unless it is in exactly one."""
    segments = segments_of(columns, [name])
    assert np.array_equal(sum(mask.astype(int) for mask in segments.values()), np.ones(len(columns["event_at"])))
    return [next(band for band, mask in segments.items() if mask[row]) for row in range(len(columns["event_at"]))]


def test_hours_are_new_yorks() -> None:
    night, morning, midday, evening = "hours 22 to 6", "hours 6 to 10", "hours 10 to 16", "hours 16 to 22"
    expected = {
        0: night,
        5: night,
        6: morning,
        9: morning,
        10: midday,
        15: midday,
        16: evening,
        21: evening,
        22: night,
        23: night,
    }
    assert bands(trips(hours=tuple(expected)), "hour_band") == list(expected.values())


def test_distances_are_miles() -> None:
    expected = {0.1: "under 2 miles", 1.99: "under 2 miles", 2: "2 to 5 miles", 4.99: "2 to 5 miles"}
    expected |= {5: "5 miles and more", 99: "5 miles and more"}
    assert bands(trips(miles=tuple(expected)), "distance_band") == list(expected.values())


@pytest.mark.parametrize(
    ("day", "band"),
    [(2, "Monday to Friday"), (6, "Monday to Friday"), (7, "weekend"), (8, "weekend"), (9, "Monday to Friday")],
)
def test_weekends_are_new_yorks(day: int, band: str) -> None:
    assert bands(trips(hours=(0, 23), day=day), "day_type") == [band] * 2


def test_trips_without_a_passenger_count_are_a_segment() -> None:
    (name, rows), *others = segments_of(trips(passengers=(0, 1, 5, 0)), ["no_passenger_count"]).items()
    assert (name, rows.tolist(), others) == ("no passenger count", [True, False, False, True], [])


def test_a_single_zone_is_a_segment() -> None:
    columns = trips(zones=((132, 7), (7, 132), (13, 2), (200, 200)))
    found = segments_of(columns, ["pickup_location_id=132", "dropoff_location_id=132"])
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "pickup_location_id=132": [True, False, False, False],
        "dropoff_location_id=132": [False, True, False, False],
    }


def test_a_trip_is_in_a_band_of_each_family_that_is_asked_for() -> None:
    found = segments_of(trips(hours=(8,), miles=(7.0,), passengers=(0,)), Gate().segments)
    assert [name for name, rows in found.items() if rows.all()] == [
        "hours 6 to 10",
        "5 miles and more",
        "no passenger count",
    ]
    assert len(found) == 8
    assert segments_of(trips(), []) == {}


def test_there_may_be_no_trips() -> None:
    nothing = {name: values[:0] for name, values in trips().items()}
    assert all(len(rows) == 0 for rows in segments_of(nothing, [*CONTRACT.segments]).values())


@pytest.mark.parametrize("name", [*CONTRACT.segments, "pickup_location_id=1", "dropoff_location_id=265"])
def test_what_the_settings_accept_is_a_segment(name: str) -> None:
    names = Settings(gate={"segments": (name,)}).gate.segments
    found = segments_of(trips(), names)
    assert found
    assert all(rows.dtype == np.bool_ for rows in found.values())


@pytest.mark.parametrize(
    "names",
    [
        ("hour",),
        ("hour_band ",),
        ("xhour_band",),
        ("pickup_location_id",),
        ("pickup_location_id=",),
        ("pickup_location_id=1000",),
        ("pickup_location_id=JFK",),
        ("trip_distance=5",),
        ("hour_band", "hour_band"),
    ],
)
def test_other_names_and_repeated_ones_are_refused_at_start(names: tuple[str, ...]) -> None:
    with pytest.raises((SettingsError, ValidationError), match=r"gate\.segments"):
        Settings(gate={"segments": names})
