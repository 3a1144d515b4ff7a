"""Changes that begin right after a window of steady traffic, and how soon they are noticed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from autoops.usecase.columns import TARGET, columns_of
from benchmarks.city_days import Version
from benchmarks.watching import Watch, windows_of
from tests.taxi import feature_matrix

STRETCH_DAYS, STEADY_WINDOWS, LOOK_DAYS = 70, 5, 30
SPEEDS = (1.0, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2)
LONG_TRIPS = (0.05, 0.1, 0.2)
"""Shares of the trips that give way to some of the longest fifth."""


@dataclass(frozen=True)
class Run:
    """`alarms` of the first three windows after the change; `days` from the change to the incident, if there was one
    within LOOK_DAYS."""

    size: int
    change: str
    alarms: tuple[bool, ...]
    days: float | None


def runs(version: Version, watch: Watch, hour: float) -> Iterator[Run]:
    """One of each change, on one stretch of days."""
    stretch = version.year(STRETCH_DAYS)
    steady = list(islice(windows_of(stretch, watch.drift, hour), STEADY_WINDOWS))
    begins = int(steady[-1].index[-1]) + 1
    warm = watch.again()
    for window in steady:
        warm.see(window)
    for change, changed in _changed(version, stretch.iloc[begins:]):
        watching = watch.again()
        watching.windows, watching.errors = warm.windows, warm.errors
        yield _run(watching, change, pd.concat([stretch.iloc[:begins], changed]), steady, hour)


def _run(watch: Watch, change: str, rows: pd.DataFrame, steady: list[pd.DataFrame], hour: float) -> Run:
    begins_at = steady[-1]["event_at"].iloc[-1]
    alarms: list[bool] = []
    for window in islice(windows_of(rows, watch.drift, hour), len(steady), None):
        days = (window["event_at"].iloc[-1] - begins_at) / pd.Timedelta(days=1)
        if days > LOOK_DAYS or (watch.opened and len(alarms) >= 3):
            break
        alarm, action = watch.see(window)
        alarms.append(alarm)
        if action == "open incident" and len(watch.opened) == 1:
            opened_after = days
    found = opened_after if watch.opened else None
    return Run(watch.drift.window_size, change, tuple(alarms[:3]), found)


def _changed(version: Version, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for speed in SPEEDS:
        name = f"speed {speed - 1:+.0%}" if speed != 1 else "no change"
        yield name, rows.assign(**{TARGET: rows[TARGET] / speed})
    for share in LONG_TRIPS:
        yield f"{share:.0%} long trips", _with_long_trips(version, rows, share)


def _with_long_trips(version: Version, rows: pd.DataFrame, share: float) -> pd.DataFrame:
    """Trips of other moments at the moments of these."""
    long = np.flatnonzero(rows["trip_distance"] >= rows["trip_distance"].quantile(0.8))
    chosen = np.flatnonzero(version.rng.uniform(size=len(rows)) < share)
    taken = ["trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id", TARGET]
    mixed = rows.copy()
    donors = version.rng.choice(long, len(chosen))
    for name in taken:
        values = rows[name].to_numpy().copy()
        values[chosen] = values[donors]
        mixed[name] = values
    inputs = feature_matrix(columns_of(mixed.iloc[chosen]), version.trained.encoder.features)
    predictions = mixed["prediction"].to_numpy().copy()
    predictions[chosen] = version.trained.model.predict(inputs)
    return mixed.assign(prediction=predictions)
