"""What is broken data and what is a changed city, on profiles made by hand around those of the real months."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from autoops.errors import EmptyMonth, SchemaError
from autoops.ingestion.profile import Profile, Route
from autoops.ingestion.quality import MOST_HISTORY, judge, unreadable

ROUTES = {"74-75": Route(600, 0.95, 7.2), "74-42": Route(400, 1.4, 8.9), "41-166": Route(300, 1.8, 9.6)}
GOOD = Profile(
    rows=60_000,
    missing={"passengers": 0.10, "payment": 0.10},
    dropped={"too_short": 0.03, "too_long": 0.02, "no_distance": 0.03, "unknown_zone": 0.0},
    commonest={"pickup_zone": 0.19, "dropoff_zone": 0.05, "passengers": 0.85, "miles": 0.03, "minutes": 0.002},
    duplicated=0.003,
    mph=10.6,
    routes=ROUTES,
    days=(2_000,) * 30,
)


def changed(**groups: dict[str, float]) -> Profile:
    return replace(GOOD, **{name: {**getattr(GOOD, name), **values} for name, values in groups.items()})


def scaled(miles: float = 1, minutes: float = 1) -> Profile:
    routes = {name: Route(r.rows, r.miles * miles, r.minutes * minutes) for name, r in ROUTES.items()}
    return replace(GOOD, routes=routes, mph=10.6 * miles / minutes)


def days(count: Callable[[int], int]) -> Profile:
    return replace(GOOD, days=tuple(count(day) for day in range(1, 31)))


HISTORY = [GOOD, changed(missing={"passengers": 0.08}), scaled(1.01, 0.95), days(lambda _: 2_300)]

CITY = {
    "as before": GOOD,
    "a quarter slower": scaled(minutes=1 / 0.75),
    "three times slower": scaled(minutes=3),
    "other routes and longer trips": replace(
        GOOD, routes={"1-2": Route(5_000, 9.0, 30.0)} | {name: replace(r, rows=40) for name, r in ROUTES.items()}
    ),
    "one route is closed": replace(GOOD, routes=ROUTES | {"74-42": Route(400, 2.6, 15.0)}),
    "many trips over an hour": changed(dropped={"too_long": 0.2}),
    "fewer nulls": changed(missing={"passengers": 0.0}),
    "some more nulls": changed(missing={"passengers": 0.25}),
    "a quarter of the trips stays away": days(lambda _: 1_500),
    "twice the trips": days(lambda _: 4_300),
    "a blizzard of two days": days(lambda day: 2_000 * (day not in (14, 15))),
    "published up to the twelfth": days(lambda day: 2_000 * (day <= 12)),
}

BROKEN = {
    "kilometres": (scaled(1.609), "unit change", "miles", "kilometres where miles should be"),
    "miles divided": (scaled(0.621), "unit change", "miles", "as if they were kilometres"),
    "half in kilometres": (scaled(1.3), "unit change", "miles", "no known unit"),
    "seconds": (scaled(minutes=60), "unit change", "minutes", "seconds where minutes"),
    "hours": (scaled(minutes=1 / 60), "unit change", "minutes", "hours where minutes"),
    "nulls": (changed(missing={"passengers": 0.5}), "null surge", "passengers", "50.0% of passengers"),
    "no payment": (changed(missing={"payment": 1.0}), "null surge", "payment", "100.0% of payment"),
    "default passengers": (changed(commonest={"passengers": 1.0}), "constant column", "passengers", "100.0%"),
    "default zone": (changed(commonest={"dropoff_zone": 0.9}), "constant column", "dropoff_zone", "90.0%"),
    "no distance": (changed(dropped={"no_distance": 0.3}), "impossible values", "no_distance", "30.0% as no_distance"),
    "zones nobody knows": (changed(dropped={"unknown_zone": 0.1}), "impossible values", "unknown_zone", "10.0%"),
    "all too long": (changed(dropped={"too_long": 0.5}), "impossible values", "too_long", "50.0%"),
    "rows twice": (replace(GOOD, duplicated=0.2), "duplicated rows", "all", "20.0% of the rows"),
    "few trips": (days(lambda _: 600), "volume collapse", "days", "0.30 times the trips"),
    "a hole": (days(lambda day: 2_000 * (day not in (8, 9, 10))), "volume collapse", "days", "8, 9, 10"),
    "a few days only": (days(lambda day: 2_000 * (day <= 9)), "volume collapse", "days", "first 9 of 30"),
}


@pytest.mark.parametrize("city", CITY)
def test_a_changed_city_is_no_broken_data(city):
    found = judge(CITY[city], HISTORY)

    assert found.findings == ()
    assert max(found.strain.values()) < 1
    assert found.reason == "nothing is wrong with it"


@pytest.mark.parametrize("what", BROKEN)
def test_broken_data_is_found_and_named(what):
    profile, name, column, words = BROKEN[what]
    (finding,) = [one for one in judge(profile, HISTORY, noun="trips").findings if (one.name, one.column) == (name, column)]

    assert words in finding.reason
    low, high = finding.usual
    assert (low is not None and finding.measured < low) or (high is not None and finding.measured > high)


@pytest.mark.parametrize("what", ["kilometres", "nulls", "few trips", "default zone", "rows twice", "no distance"])
def test_nothing_else_is_found_with_it(what):
    assert [finding.name for finding in judge(BROKEN[what][0], HISTORY).findings] == [BROKEN[what][1]]


def test_a_comparison_gives_what_good_months_had():
    (finding,) = judge(BROKEN["nulls"][0], HISTORY).findings

    assert finding.reason == "50.0% of passengers have no value; 8.0% to 10.0% in 4 good months before"
    assert finding.to_json()["usual"] == [None, pytest.approx(0.2928, abs=0.001)]


@pytest.mark.parametrize("what", ["kilometres", "nulls", "few trips", "default zone"])
def test_with_too_little_history_nothing_is_compared_and_that_is_said(what):
    found = judge(BROKEN[what][0], HISTORY[:2])

    assert found.findings == ()
    assert found.reason.endswith("(by absolute rules alone: 2 of 3 good earlier months)")


ABSOLUTE = {
    "seconds": (scaled(minutes=60), "unit change", "no city's"),
    "hours": (scaled(minutes=1 / 60), "unit change", "no city's"),
    "one value": (changed(commonest={"miles": 1.0}), "constant column", "the same in all rows"),
    "rows twice": (replace(GOOD, duplicated=0.5), "duplicated rows", "50.0% of the rows"),
    "a hole": (BROKEN["a hole"][0], "volume collapse", "8, 9, 10"),
    "too little kept": (changed(dropped={"no_distance": 0.6}), "impossible values", "data.min_kept_share is 75%"),
}


@pytest.mark.parametrize("what", ABSOLUTE)
def test_absolute_rules_need_no_history(what):
    profile, name, words = ABSOLUTE[what]
    (finding,) = judge(profile, [], min_kept_share=0.75).findings

    assert finding.name == name
    assert words in finding.reason


def test_a_good_month_passes_without_history():
    assert judge(GOOD, [], min_kept_share=0.75).findings == ()


def test_what_varies_between_good_months_is_usual():
    shares = (0.05, 0.3, 0.1, 0.35, 0.08)
    varied = [changed(missing={"passengers": share}) for share in shares]

    assert judge(changed(missing={"passengers": 0.62}), varied).findings == ()
    assert judge(changed(missing={"passengers": 0.62}), HISTORY).findings


def test_only_the_newest_months_count():
    long_ago = [changed(missing={"passengers": 0.9})] * 3

    assert judge(BROKEN["nulls"][0], long_ago + HISTORY).findings == ()
    found = judge(BROKEN["nulls"][0], long_ago + [GOOD] * MOST_HISTORY)
    assert (len(found.findings), found.compared_with) == (1, MOST_HISTORY)


def test_days_of_the_week_are_held_against_their_own():
    quiet_sundays = [replace(GOOD, days=tuple(2_000 if (day + 1) % 7 else 30 for day in range(30)))] * 3

    assert judge(quiet_sundays[0], quiet_sundays).findings == ()
    sundays_lost = replace(GOOD, days=tuple(2_000 if (day + 1) % 7 else 0 for day in range(30)))
    assert "7, 14, 21, 28" in judge(sundays_lost, [GOOD] * 3).reason


def test_empty_days_where_hardly_anybody_goes_are_no_hole():
    rare = replace(GOOD, days=(9,) * 4 + (0,) * 20 + (15,) * 6)

    assert judge(rare, []).findings == judge(rare, [rare] * 3).findings == ()
    assert judge(replace(rare, days=tuple(10 * trips for trips in rare.days)), []).findings


def test_shares_of_a_handful_of_rows_say_nothing():
    few = replace(changed(missing={"passengers": 0.9}, commonest={"miles": 1.0}), rows=20, routes={}, days=())

    assert judge(few, HISTORY).findings == ()


def test_too_few_trips_on_known_routes_are_no_scale():
    sparse = replace(scaled(1.609), routes={"74-75": Route(99, 1.53, 7.2)})

    assert judge(sparse, HISTORY).findings == ()
    assert judge(replace(sparse, routes={"74-75": Route(100, 1.53, 7.2)}), HISTORY).findings


def test_what_cannot_be_read_is_a_finding_too():
    assert unreadable(SchemaError("no column")).name == "schema"
    assert unreadable(EmptyMonth("nothing left")).name == "impossible values"
