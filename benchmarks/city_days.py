"""Steady years out of days that happened: whole days, drawn by weekday, one after the other.

Within a day everything stays as it was, so traffic is as autocorrelated as it is; from year to year nothing changes, so
every incident is a false one. A version learns from three months of days that its years do not contain.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.drift.calibration import History, measure
from autoops.drift.monitor import Reference
from autoops.models.bundle import Manifest
from autoops.months import Month, month_range
from autoops.settings import Drift, Model, Training
from autoops.training.train import Trained
from autoops.usecase.columns import columns_of
from autoops.usecases.taxi.trips import NEW_YORK
from benchmarks.drift import cleaned, manifest_of, sampled
from tests.taxi import CONTRACT, feature_matrix, train

MONTHS = list(month_range(Month(2022, 1), Month(2023, 6)))
HISTORY_WEEKS = 13
BEGINS = np.datetime64("2024-01-01")
"""A Monday."""

FOREST = Model(
    parameters={
        "n_estimators": 30,
        "max_depth": 18,
        "min_samples_leaf": 7,
        "max_features": 0.5,
        "n_jobs": 1,
        "random_state": 7,
    }
)
Ids = npt.NDArray[np.intp]


def pool_of_days(sampled_trips_per_month: int | None) -> list[pd.DataFrame]:
    """Of the real months where AUTOOPS_TLC_DIR names a folder of them, unless sampled ones are wanted."""
    if sampled_trips_per_month:
        trips = sampled(MONTHS, trips_per_month=sampled_trips_per_month, seed=1)
    else:
        trips = cleaned(Path(os.environ["AUTOOPS_TLC_DIR"]), MONTHS)
    trips = trips.sort_values("event_at", kind="stable").reset_index(drop=True)
    local = trips["event_at"].dt.tz_convert(NEW_YORK).dt.tz_localize(None)
    since = local - local.dt.normalize()
    days = trips.assign(since_midnight=since.astype("timedelta64[us]")).groupby(local.dt.normalize(), sort=True)
    return [day for _, day in days]


def weekdays(days: Sequence[pd.DataFrame]) -> npt.NDArray[np.int64]:
    middle = [day["event_at"].iloc[len(day) // 2].tz_convert(NEW_YORK).weekday() for day in days]
    return np.array(middle)


def stacked(days: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The days as consecutive ones, from a Monday on. `day` counts them."""
    rows = pd.concat(days, ignore_index=True)
    number = np.repeat(np.arange(len(days)), [len(day) for day in days])
    local = BEGINS + number * np.timedelta64(1, "D") + rows["since_midnight"].to_numpy()
    summer = np.zeros(len(rows), dtype=bool)
    moments = pd.DatetimeIndex(local).tz_localize(NEW_YORK, ambiguous=summer, nonexistent="shift_forward")
    rows = rows.assign(event_at=moments.tz_convert("UTC").as_unit("us"), day=number)
    return rows.sort_values("event_at", kind="stable").reset_index(drop=True)


class Remembered(Reference):
    """Computes the distances of a window once, however many thresholds these are held against."""

    def distances(self, window: pd.DataFrame, columns: Sequence[str]) -> dict[str, float]:
        key = (window["event_at"].iloc[0], len(window), float(window["trip_distance"].sum()))
        known: dict[object, dict[str, float]] = self.__dict__.setdefault("known", {})
        if key not in known:
            known[key] = super().distances(window, columns)
        return known[key]


@dataclass
class Version:
    """Trained on its own days; `others` are those that its years are made of, by weekday."""

    days: list[pd.DataFrame]
    trained: Trained
    others: list[Ids]
    rng: np.random.Generator = field(repr=False)

    @classmethod
    def of(cls, days: list[pd.DataFrame], seed: int) -> "Version":
        rng, weekday = np.random.default_rng(seed), weekdays(days)
        shuffled = [rng.permutation(np.flatnonzero(weekday == each)) for each in range(7)]
        own = [shuffled[number % 7][number // 7] for number in range(7 * HISTORY_WEEKS)]
        trained = train(stacked([days[each] for each in own]), FOREST, Training())
        return cls(days, trained, [ids[HISTORY_WEEKS:] for ids in shuffled], rng)

    @cached_property
    def reference(self) -> Reference:
        rows = self.trained.reference
        return Remembered(rows[rows["part"] == "window"], self.trained.holdout, CONTRACT)

    @cached_property
    def manifest(self) -> Manifest:
        return manifest_of(self.trained)

    @cached_property
    def predicted(self) -> dict[int, pd.DataFrame]:
        """The days of `others` with predictions."""
        ids = np.concatenate(self.others)
        rows = pd.concat([self.days[each] for each in ids])
        rows["prediction"] = self.trained.model.predict(feature_matrix(columns_of(rows), self.trained.encoder.features))
        ends = np.cumsum([len(self.days[each]) for each in ids])
        return {int(each): rows.iloc[end - len(self.days[each]) : end] for each, end in zip(ids, ends, strict=True)}

    def history(self, drift: Drift) -> History:
        trained = self.trained
        frames = trained.history, trained.holdout, trained.reference
        return measure(*frames, trained.encoder.features, CONTRACT, drift)

    def year(self, days: int = 364) -> pd.DataFrame:
        drawn = [int(self.rng.choice(self.others[number % 7])) for number in range(days)]
        return stacked([self.predicted[each] for each in drawn])
