"""What a scenario changes, and what it leaves alone, judged through `clean` as the loop would see it."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from autoops.errors import InputError
from autoops.ingestion.source import file_name
from autoops.months import Month, parse_months
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.city import the_city
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import SCENARIOS, sample, write_sample
from autoops.usecases.taxi.trips import NEW_YORK
from tests.unit.ingestion.sampled import MAY, distance_of_zones, fitted, mae, mph, sampled


def test_speed_slows_trips_and_leaves_them_where_they_were(tmp_path, steady):
    slower = sampled(tmp_path, "speed").rows

    assert mph(slower).median() / mph(steady).median() == pytest.approx(0.75, abs=0.02)
    assert slower["trip_distance"].median() == pytest.approx(steady["trip_distance"].median(), rel=0.05)
    assert distance_of_zones(slower, steady) < 0.03


def test_mix_sends_trips_elsewhere_at_the_speeds_that_hold_there(tmp_path, steady):
    mixed = sampled(tmp_path, "mix").rows

    assert mixed["trip_distance"].median() > 1.2 * steady["trip_distance"].median()
    assert distance_of_zones(mixed, steady) > 0.15
    near_two_miles = [mph(t[t["trip_distance"].between(1.8, 2.2)]).median() for t in (mixed, steady)]
    assert near_two_miles[0] == pytest.approx(near_two_miles[1], rel=0.06)


def test_slow_goes_on_from_month_to_month(tmp_path):
    months = parse_months("2023-03..2023-05")
    write_sample(tmp_path / "slow", months, scenario="slow", changes_from=Month(2023, 4))
    write_sample(tmp_path / "steady", months)

    def speed(folder: str, month: Month) -> float:
        return mph(clean(tmp_path / folder / file_name(month), month).rows).median()

    left = [speed("slow", month) / speed("steady", month) for month in months]
    assert left == pytest.approx([1, 0.95, 0.95**2], abs=0.01)


def test_moving_changes_level_speed_and_mix_for_a_year_and_then_stays(tmp_path):
    begins, turns = Month(2022, 4), [Month(2022, 6), Month(2022, 9), Month(2022, 12), Month(2023, 3), Month(2023, 4)]
    write_sample(tmp_path / "moving", turns, scenario="moving", changes_from=begins)
    write_sample(tmp_path / "steady", turns)

    def changed(month: Month, of) -> float:
        moving, steady = (clean(tmp_path / name / file_name(month), month).rows for name in ("moving", "steady"))
        return of(moving) - of(steady)

    def seconds_of_short_trips(trips) -> float:
        return 60 * trips[trips["trip_distance"].between(1.8, 2.2)][TARGET].median()

    # By quarters of the year: faster; as fast and longer; slower and longer; as before; and no other way from then on.
    short = [changed(month, seconds_of_short_trips) for month in turns]
    assert short == pytest.approx([-45, 150, 350, 0, 0], abs=60)
    far = [changed(month, lambda trips: (trips["trip_distance"] > 5).mean()) for month in turns]
    assert far == sorted(far[:4]) + far[4:]
    assert far[4] == pytest.approx(far[3], abs=0.02)
    assert far[3] > 0.1


def test_the_months_of_a_slow_change_are_the_same_whichever_are_written_with_them(tmp_path):
    begins = Month(2023, 3)
    write_sample(
        tmp_path / "together",
        parse_months("2023-03..2023-05"),
        trips_per_month=500,
        scenario="slow",
        changes_from=begins,
    )
    write_sample(tmp_path / "alone", [MAY], trips_per_month=500, scenario="slow", changes_from=begins)

    together, alone = (pq.read_table(tmp_path / folder / file_name(MAY)) for folder in ("together", "alone"))
    assert together.equals(alone)


def test_outskirts_hurts_a_model_that_has_not_seen_them_and_mix_hardly_does(tmp_path, forest):
    """In error per trip that a forest which has seen such trips would not make."""
    lost = {}
    for scenario in ("mix", "outskirts"):
        write_sample(tmp_path / scenario, parse_months("2023-04..2023-06"), scenario=scenario)
        *seen, ahead = [
            clean(tmp_path / scenario / file_name(month), month).rows for month in parse_months("2023-04..2023-06")
        ]
        lost[scenario] = mae(forest, ahead) / mae(fitted(pd.concat(seen)), ahead) - 1
    assert lost["mix"] < 0.05 < lost["outskirts"]


def test_zones_moves_trips_and_neither_their_lengths_nor_their_speeds(tmp_path, steady, forest):
    moved = sampled(tmp_path, "zones").rows

    assert distance_of_zones(moved, steady) > 0.15
    assert moved["trip_distance"].quantile([0.1, 0.5, 0.9]).to_numpy() == pytest.approx(
        steady["trip_distance"].quantile([0.1, 0.5, 0.9]).to_numpy(), rel=0.03
    )
    assert mph(moved).median() == pytest.approx(mph(steady).median(), rel=0.02)
    assert mae(forest, moved) == pytest.approx(mae(forest, steady), rel=0.03)


def test_a_zone_changes_places_with_one_as_fast_and_of_its_kind():
    city = the_city()
    zones = np.arange(len(city.pace))
    apart = np.abs(np.log(city.pace[city.like] / city.pace))

    assert np.array_equal(city.like[city.like], zones)
    assert (city.like != zones).sum() >= len(zones) - 1
    assert (city.pickups * apart).sum() < 0.02
    assert city.pickups[city.pickups[city.like] > 10 * np.median(city.pickups)].sum() > 0.8


def test_unit_changes_the_figures_and_not_the_trips(tmp_path, steady):
    kilometres = sampled(tmp_path, "unit").rows

    assert kilometres["trip_distance"].median() / steady["trip_distance"].median() == pytest.approx(1.609, rel=0.03)
    assert kilometres[TARGET].median() == pytest.approx(steady[TARGET].median(), rel=0.03)


def test_nulls_hides_the_passengers_of_many(tmp_path, steady):
    surge = sampled(tmp_path, "nulls").rows

    assert (steady["passenger_count"] == 0).mean() < 0.16
    assert (surge["passenger_count"] == 0).mean() > 0.5
    assert surge[TARGET].median() == pytest.approx(steady[TARGET].median(), rel=0.03)


def test_collapse_loses_rows_and_changes_none(tmp_path, steady):
    rest = sampled(tmp_path, "collapse").rows

    assert len(rest) / len(steady) == pytest.approx(0.3, abs=0.02)
    assert rest[TARGET].median() == pytest.approx(steady[TARGET].median(), rel=0.03)


def test_a_bad_day_is_slow_and_quiet_and_the_others_are_as_ever(tmp_path, steady):
    stormy = sampled(tmp_path, "bad_day").rows
    daily, usual = (trips.groupby(trips["event_at"].dt.tz_convert(NEW_YORK).dt.day) for trips in (stormy, steady))
    volume, speed = daily.size() / usual.size(), daily.apply(mph).groupby(level=0).median() / mph(steady).median()

    day = volume.idxmin()
    assert volume[day] == pytest.approx(0.5, abs=0.08)
    assert volume.drop(day).min() > 0.8
    assert speed[day] < 0.7 < 0.9 < speed.drop(day).min()


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "steady"])
def test_a_change_holds_from_its_month_on_and_not_before(tmp_path, scenario):
    months = parse_months("2023-03..2023-05")
    write_sample(tmp_path / "steady", months, trips_per_month=500)
    write_sample(tmp_path / "changed", months, trips_per_month=500, scenario=scenario, changes_from=Month(2023, 4))

    same = [
        pq.read_table(tmp_path / "steady" / file_name(m)).equals(pq.read_table(tmp_path / "changed" / file_name(m)))
        for m in months
    ]
    assert same == [True, False, False]


def test_magnitude_sets_the_size_of_the_change(tmp_path, steady):
    slower = sampled(tmp_path, "speed", magnitude=-0.1).rows

    assert mph(slower).median() / mph(steady).median() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("scenario", "magnitude"),
    [
        ("speed", -1.0),
        ("speed", float("nan")),
        ("slow", -1.0),
        ("mix", 1.5),
        ("outskirts", -0.1),
        ("zones", 1.1),
        ("unit", 0.0),
        ("nulls", -0.1),
        ("collapse", 1.0),
        ("steady", 0.1),
    ],
)
def test_a_magnitude_that_a_scenario_cannot_take_is_refused(tmp_path, scenario, magnitude):
    with pytest.raises(InputError, match=f"scenario {scenario}"):
        write_sample(tmp_path, [MAY], scenario=scenario, magnitude=magnitude)
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_or_a_size_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(InputError, match="'fog': expected one of steady, speed, slow, mix, outskirts"):
        sample(tmp_path, [MAY], rows_per_month=200, scenario="fog")
    with pytest.raises(InputError, match="at least 100, got 5"):
        write_sample(tmp_path, [MAY], trips_per_month=5)
