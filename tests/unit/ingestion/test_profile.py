"""What is kept of a month, counted by hand on a few rows."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from autoops.ingestion.profile import Profile, Route, covered, scale, usual_days, usual_routes
from autoops.months import Month
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.profile import profile_of
from tests.unit.ingestion.raw import MARCH, write_month

NAN = float("nan")


def rows(**columns: list[float]) -> dict[str, np.ndarray]:
    """Four trips on the first of March 2022 and on the third."""
    moments = np.array(["2022-03-01T08:00", "2022-03-01T08:00", "2022-03-03T09:00", "2022-03-03T10:00"], "M8[us]")
    usual = {
        "minutes": [10.0, 10.0, 20.0, 15.0],
        "miles": [2.0, 2.0, 3.0, 0.0],
        "pickup_zone": [74.0, 74.0, 74.0, 41.0],
        "dropoff_zone": [75.0, 75.0, 75.0, 75.0],
        "passengers": [1.0, NAN, 0.0, 2.0],
    }
    return {"picked_up": moments} | {name: np.array(values) for name, values in (usual | columns).items()}


def test_shares_are_of_all_rows_and_the_commonest_of_those_with_a_value():
    profile = profile_of(rows(payment=[1.0, NAN, NAN, NAN]), {"no_distance": 1, "too_long": 0})

    assert profile.missing == {"passengers": 0.5, "payment": 0.75}
    assert profile.dropped == {"no_distance": 0.25, "too_long": 0}
    assert profile.commonest == {
        "pickup_zone": 0.75,
        "dropoff_zone": 1,
        "passengers": 0.5,
        "miles": 0.5,
        "minutes": 0.5,
    }
    assert (profile.rows, profile.duplicated) == (4, 0.25)


def test_routes_and_speed_are_medians_of_trips_that_move():
    profile = profile_of(rows())

    assert profile.routes == {"74-75": Route(3, 2.0, 10.0)}
    assert profile.mph == 12.0


@given(seed=st.integers(0, 2**31 - 1), count=st.integers(0, 300), most=st.integers(1, 12))
def test_routes_are_the_busiest_groups_of_both_zones(seed: int, count: int, most: int) -> None:
    draw = np.random.default_rng(seed)
    zones = {name: draw.integers(1, 5, count).astype(float) for name in ("pickup_zone", "dropoff_zone")}
    minutes = np.where(draw.random(count) < 0.3, np.nan, draw.uniform(1, 60, count))
    trips = pd.DataFrame(zones | {"miles": draw.uniform(0.1, 9, count), "minutes": minutes})
    rows = {name: trips[name].to_numpy() for name in trips}
    picked_up, passengers = np.full(count, np.datetime64("2022-03-01T08:00:00")), np.ones(count)
    found = profile_of({**rows, "picked_up": picked_up, "passengers": passengers}, most_routes=most).routes

    groups = {f"{int(a)}-{int(b)}": group for (a, b), group in trips.groupby(["pickup_zone", "dropoff_zone"])}
    busiest = sorted(groups, key=lambda name: -len(groups[name]))[:most]
    assert list(found) == busiest
    for name in busiest:
        miles, known = groups[name]["miles"].median(), groups[name]["minutes"].median()
        assert found[name] == Route(len(groups[name]), round(miles, 3), round(float(np.nan_to_num(known)), 3))


def test_trips_that_nobody_knows_the_minutes_of_have_routes_and_a_scale_of_miles():
    window = profile_of(rows(minutes=[NAN] * 4))
    usual = {"74-75": Route(900, 1.0, 10.0)}

    assert window.routes == {"74-75": Route(3, 2.0, 0.0)}
    assert (window.mph, window.days) == (None, ())
    many = Profile(300, routes={"74-75": Route(300, 2.0, 0.0)})
    assert (scale(many, usual, "miles"), scale(many, usual, "minutes")) == (2.0, None)


def test_days_are_those_of_the_month():
    profile = profile_of(rows(), month=MARCH)

    assert profile.days == (2, 0, 2, *[0] * 28)
    assert profile.weekday == 1
    assert covered(profile) == (2, 0, 2)
    assert profile_of(rows(), month=Month(2022, 4)).days == (0,) * 30


def test_days_after_the_last_with_trips_to_speak_of_are_not_covered():
    assert covered(Profile(300, days=(100, 100, 90, 0, 3, 0))) == (100, 100, 90)


def test_a_column_of_nothing_is_missing_and_has_no_commonest_value():
    profile = profile_of(rows(passengers=[NAN] * 4, miles=[NAN] * 4))

    assert (profile.missing["passengers"], profile.commonest["passengers"]) == (1, 0)
    assert (profile.routes, profile.mph) == ({}, None)


def test_a_profile_comes_back_from_json_as_it_was():
    profile = profile_of(rows(), {"too_long": 1}, MARCH)

    assert Profile.from_json(profile.to_json()) == profile


def test_a_scale_is_the_median_over_routes_by_trips():
    usual = {"a": Route(9, 1.0, 10.0), "b": Route(9, 2.0, 10.0), "c": Route(9, 3.0, 10.0)}
    profile = Profile(300, routes={"a": Route(60, 1.6, 10), "b": Route(20, 9.0, 10), "d": Route(90, 99.0, 10)})

    assert scale(profile, usual, "miles") is None
    profile = Profile(300, routes={"a": Route(80, 1.6, 10), "b": Route(20, 9.0, 10), "d": Route(90, 99.0, 10)})
    assert scale(profile, usual, "miles") == 1.6
    assert scale(profile, usual, "minutes") == 1


def test_what_is_usual_is_the_median_over_months():
    months = [Profile(1, routes={"a": Route(10, miles, 5.0)}, days=(trips,) * 14) for miles, trips in ((1, 5), (2, 9))]

    assert usual_routes([*months, months[1]]) == {"a": Route(10, 2.0, 5.0)}
    assert usual_days([*months, months[1]]).tolist() == [9.0] * 7
    assert np.isnan(usual_days([Profile(1, days=(5, 5))])).tolist() == [False] * 2 + [True] * 5


def test_cleaning_profiles_the_rows_as_they_came(tmp_path):
    path = write_month(tmp_path, [{}, {"passenger_count": None}, {"trip_distance": 0.0}, {"trip_distance": 160.0}])
    profile = clean(path, MARCH).profile

    assert profile.rows == 4
    assert profile.missing == {"passengers": 0.25}
    assert (profile.dropped["no_distance"], profile.dropped["too_far"], profile.dropped["too_long"]) == (0.25, 0.25, 0)
    assert profile.routes == {"74-75": Route(3, 2.5, 10.0)}
    assert sum(profile.days) == 4
