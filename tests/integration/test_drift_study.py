"""The promises about false alarms and detection, cut down: `benchmarks/drift.py` is the whole study."""

from pathlib import Path

import pandas as pd
import pytest

from autoops.months import Month, month_range
from autoops.settings import Model
from benchmarks.drift import (
    TRAINED_ON,
    Champion,
    allowed,
    champion_of,
    cleaned,
    incidents,
    quarters,
    sampled,
    slowed,
    within_two,
)

pytestmark = pytest.mark.study

LATER = list(month_range(Month(2026, 4), Month(2026, 10)))
SEED, TRIPS = 4, 32_000
SMALL = Model(parameters={"n_estimators": 30, "max_depth": 14, "min_samples_leaf": 10, "n_jobs": -1, "random_state": 7})


@pytest.fixture(scope="module")
def champion() -> Champion:
    return champion_of(sampled(TRAINED_ON, trips_per_month=TRIPS, seed=SEED), SMALL)


def test_two_hundred_unseen_steady_windows_wake_nobody_more_often_than_configured(champion: Champion) -> None:
    verdicts = champion.verdicts(sampled(LATER, trips_per_month=TRIPS, seed=SEED))
    assert len(verdicts) >= 200
    assert incidents(verdicts, champion.drift) <= allowed(verdicts, champion)


def test_thirds_of_steady_months_wake_nobody_more_often_than_configured(champion: Champion) -> None:
    verdicts = champion.verdicts_of_months(sampled(LATER, trips_per_month=TRIPS, seed=SEED))
    assert len(verdicts) == 3 * len(LATER)
    assert incidents(verdicts, champion.drift) <= allowed(verdicts, champion)


@pytest.mark.parametrize("speed", [-0.1, 0.1])
def test_one_month_with_a_tenth_of_speed_opens_an_incident(champion: Champion, speed: float) -> None:
    month = sampled(LATER[:1], trips_per_month=TRIPS, seed=SEED, scenario="speed", by=speed)
    assert incidents(champion.verdicts_of_months(month), champion.drift)


@pytest.mark.parametrize("speed", [-0.1, 0.1])
def test_a_tenth_of_speed_is_found_within_two_windows(champion: Champion, speed: float) -> None:
    trips = sampled(LATER[:2], trips_per_month=TRIPS, seed=SEED, scenario="speed", by=speed)
    assert within_two(champion.verdicts(trips)) >= 0.95


def test_trips_from_elsewhere_are_found_without_labels(champion: Champion) -> None:
    trips = sampled(LATER[:1], trips_per_month=TRIPS, seed=SEED, scenario="mix")
    verdicts = champion.verdicts(trips)
    alarms = [verdict for verdict in verdicts if any(r.alarm for r in verdict.detectors if r.name == "data drift")]
    assert len(alarms) / len(verdicts) >= 0.95


def test_one_trip_in_ten_spread_over_weeks_is_judged_as_well(champion: Champion) -> None:
    steady = sampled(LATER, trips_per_month=TRIPS, seed=SEED)
    verdicts = champion.verdicts(steady.iloc[::10])
    assert incidents(verdicts, champion.drift) <= allowed(verdicts, champion)
    slower = sampled(LATER, trips_per_month=TRIPS, seed=SEED, scenario="speed", by=-0.1)
    assert within_two(champion.verdicts(slower.iloc[::10])) >= 0.95


def test_a_champion_of_months_in_motion_is_quiet_at_their_newest_level_and_finds_the_next_change() -> None:
    speeds = (-0.4, -0.2, 0.0)
    moving = [
        sampled([month], trips_per_month=TRIPS, seed=SEED, scenario="speed", by=by)
        for month, by in zip(TRAINED_ON, speeds, strict=True)
    ]
    champion = champion_of(pd.concat(moving, ignore_index=True), SMALL)
    assert champion.thresholds.moved
    newest = champion.verdicts(sampled(LATER[:3], trips_per_month=TRIPS, seed=SEED), labels_only=True)
    assert incidents(newest, champion.drift) <= allowed(newest, champion)
    slower = sampled(LATER[:1], trips_per_month=TRIPS, seed=SEED, scenario="speed", by=-0.15)
    assert within_two(champion.verdicts(slower, labels_only=True)) >= 0.95


@pytest.fixture(scope="module")
def real(tlc_dir: Path) -> tuple[Champion, list[pd.DataFrame]]:
    """A champion of 2022-01 to 2022-03, and the weeks that it has not seen."""
    champion, weeks, _ = next(quarters(tlc_dir))
    return champion, weeks


def test_real_weeks_that_were_left_out_wake_nobody_more_often_than_configured(real) -> None:
    champion, weeks = real
    verdicts = [verdict for week in weeks for verdict in champion.verdicts(week)]
    assert len(verdicts) >= 40
    assert incidents(verdicts, champion.drift) <= allowed(verdicts, champion)


def test_real_streets_a_quarter_slower_are_found(real) -> None:
    """A tenth is not, at one false alarm in a hundred: ordinary half days differ by 6 % of speed (sd)."""
    champion, weeks = real
    verdicts = champion.verdicts(pd.concat([slowed(week, 0.75) for week in weeks]), labels_only=True)
    assert within_two(verdicts) >= 0.95


def test_a_real_month_opens_no_incident_and_a_quarter_slower_it_does(real, tlc_dir: Path) -> None:
    champion, _ = real
    month = cleaned(tlc_dir, [Month(2022, 4)])
    verdicts = [champion.verdicts_of_months(trips) for trips in (month, slowed(month, 0.75))]
    assert [len(found) for found in verdicts] == [3, 3]
    assert [incidents(found, champion.drift) > 0 for found in verdicts] == [False, True]
