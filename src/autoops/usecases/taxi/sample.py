"""Sampled months in the TLC's own format, offline and from a seed: they are ingested as real ones are.

A scenario changes what is drawn from the start of a month on. What it means for the loop:

    steady     nothing changes: any alarm is false
    speed      concept drift: speeds change by `magnitude` (-0.25: a quarter slower), trips stay the same
    slow       gradual concept drift: speeds change by `magnitude` in the first month, and again in each later one
    mix        data drift: the share `magnitude` of the trips goes far, from quiet zones; speeds stay the same, and a
               model that has seen such trips does little better
    outskirts  data drift that hurts: the same from zones with fast roads, on which a model has few training trips
    zones      data drift that hurts no model: the share `magnitude` of the trips begins and ends in other zones, as
               fast and of the same kind as its own; lengths and speeds stay the same
    moving     a world in motion: for a year speeds go up and down by `magnitude`, trips last longer and then less long,
               and the share `magnitude` of them comes to go far from quiet zones; then it stays
    bad_day    a storm: on one day of each month speeds change by `magnitude` and half of the trips are missing
    unit       broken data: distances are multiplied by `magnitude` (1.609: kilometres where miles should be)
    nulls      broken data: the share `magnitude` of ordinary rows comes without passenger count and payment type
    collapse   broken data: the share `magnitude` of the rows is lost
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow.parquet as pq

from autoops.errors import InputError
from autoops.ingestion.atomic_write import atomic_write
from autoops.ingestion.source import file_name
from autoops.months import Month
from autoops.usecases.made_up import Magnitudes, magnitude_of
from autoops.usecases.taxi.dirt import soil
from autoops.usecases.taxi.tlc import raw_table
from autoops.usecases.taxi.traffic import Regime, Trips, trips_of

Scenario = Literal[
    "steady", "speed", "slow", "mix", "outskirts", "zones", "moving", "bad_day", "unit", "nulls", "collapse"
]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)

YEAR = 12
"""Months that a world stays in motion."""
MOST_DELAY = 10
"""Minutes that a trip of the year in motion lasts longer at most, times the magnitude."""
UNREPORTED = (0.06, 0.14)
"""Least and largest share, by month, of trips without passenger count and payment type."""


_MAGNITUDES: Magnitudes = {
    "steady": (0, 0, 0),
    "speed": (-0.25, -0.9, 4),
    "slow": (-0.05, -0.5, 1),
    "mix": (0.4, 0, 1),
    "outskirts": (0.4, 0, 1),
    "zones": (0.5, 0, 1),
    "moving": (0.25, 0, 0.9),
    "bad_day": (-0.4, -0.9, 4),
    "unit": (1.609344, 0.001, 1000),
    "nulls": (0.5, 0, 1),
    "collapse": (0.7, 0, 0.99),
}


def write_sample(
    directory: Path,
    months: Sequence[Month],
    *,
    trips_per_month: int = 20_000,
    seed: int = 7,
    scenario: Scenario = "steady",
    changes_from: Month | None = None,
    magnitude: float | None = None,
) -> list[Path]:
    """Write green_tripdata_YYYY-MM.parquet for each month, and return the paths.

    A month's rows depend on nothing but the arguments and the month. `changes_from` defaults to the first of `months`,
    `magnitude` to the scenario's own.

    Raises:
        InputError: fewer than 100 trips per month, an unknown scenario, or a magnitude that it cannot take.
    """
    if trips_per_month < 100:
        raise InputError(f"trips per month: expected at least 100, got {trips_per_month}")
    magnitude = magnitude_of(_MAGNITUDES, scenario, magnitude)
    begins = changes_from or min(months)
    paths = []
    for month in months:
        path = directory / file_name(month)
        changed = _months_between(begins, month) + 1
        _write_month(path, month, trips_per_month, seed, scenario if changed > 0 else "steady", magnitude, changed)
        paths.append(path)
    return paths


def sample(directory: Path, months: Sequence[Month], *, rows_per_month: int, **of_the_world: Any) -> list[Path]:
    """Write made-up months as `write_sample` does, and return the paths: the declaration's `sample`."""
    return write_sample(directory, months, trips_per_month=rows_per_month, **of_the_world)


def _months_between(first: Month, last: Month) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


def _write_month(
    path: Path, month: Month, count: int, seed: int, scenario: Scenario, strength: float, changed: int
) -> None:
    """Write a month; `changed` is the number of months with the change, this one included."""
    # A stream apart from that of `trips_of`: faults draw from it, and the trips stay the same.
    rng = np.random.default_rng([seed, month.year, month.month, 1])
    unreported = rng.uniform(*UNREPORTED)
    regime = _regime(scenario, strength, changed)
    trips = _break(trips_of(month, count, seed, unreported, regime), scenario, strength, rng)
    trips, refund = soil(trips, month, rng)
    with atomic_write(path) as file:
        pq.write_table(raw_table(trips, refund, month, rng), file, compression="zstd")


def _regime(scenario: Scenario, strength: float, changed: int) -> Regime:
    if scenario == "speed":
        return Regime(speed=1 + strength)
    if scenario == "slow":
        return Regime(speed=(1 + strength) ** changed)
    if scenario in ("mix", "outskirts"):
        return Regime(elsewhere=strength, fast_roads=scenario == "outskirts")
    if scenario == "moving":
        return _moving(strength, min(changed, YEAR))
    return Regime(moved=strength if scenario == "zones" else 0)


def _moving(strength: float, changed: int) -> Regime:
    """Return the traffic of a month of the year in motion, 1 to 12: three changes that turn at different times."""
    turn = 2 * np.pi * changed / YEAR
    delay = MOST_DELAY * strength * (1 - np.cos(turn)) / 2
    return Regime(speed=1 + strength * np.sin(turn), elsewhere=strength * changed / YEAR, delay=delay)


def _break(trips: Trips, scenario: Scenario, strength: float, rng: np.random.Generator) -> Trips:
    if scenario == "unit":
        return trips.changed(miles=np.round(trips.miles * strength, 2))
    if scenario == "nulls":
        return trips.changed(unreported=trips.unreported | (rng.random(len(trips)) < strength))
    if scenario == "collapse":
        return trips.taken(np.flatnonzero(rng.random(len(trips)) >= strength))
    if scenario == "bad_day":
        return _storm(trips, strength, rng)
    return trips


def _storm(trips: Trips, change: float, rng: np.random.Generator) -> Trips:
    days = trips.picked_up.astype("datetime64[D]")
    stormy = days == rng.choice(np.unique(days))
    trips = trips.changed(minutes=np.where(stormy, trips.minutes / (1 + change), trips.minutes))
    return trips.taken(np.flatnonzero(~stormy | (rng.random(len(trips)) < 0.5)))
