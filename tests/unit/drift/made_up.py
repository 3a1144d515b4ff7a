"""Trips that are made up in an instant: hours, days and zones have their own ways, and a model is off by noise."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from autoops.drift.monitor import Reference
from autoops.drift.thresholds import Thresholds
from autoops.models.bundle import Manifest
from autoops.settings import Drift
from autoops.usecase.columns import TARGET
from tests.taxi import CONTRACT, calibrate

FEATURES = ("trip_distance", "passenger_count", "hour", "pickup_location_id", "dropoff_location_id")
IMPORTANCES = {"trip_distance": 0.7, "zones": 0.15, "passenger_count": 0.05, "hour": 0.1}
DRIFT = Drift(window_size=200)
ROWS_PER_DAY = 400
Frames = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def trips(days: float, *, start: str = "2026-01-05T05:00", seed: int = 0) -> pd.DataFrame:
    """Trips in event order with prediction and target; every day has its own speed, a little off."""
    rng = np.random.default_rng(seed)
    rows = int(days * ROWS_PER_DAY)
    minute = np.sort(rng.uniform(0, days * 1440, rows))
    evening = (minute // 60 % 24 > 16).astype(int)
    miles = rng.lognormal(0.6 + 0.2 * evening, 0.6)
    day_error = rng.normal(0, 0.3, int(days) + 1)[(minute // 1440).astype(int)]
    prediction = 3 + 3.5 * miles
    return pd.DataFrame(
        {
            "event_at": pd.Timestamp(start, tz="UTC").as_unit("us") + pd.to_timedelta(minute, unit="min").as_unit("us"),
            "trip_distance": miles,
            "passenger_count": rng.choice([0, 1, 2], rows, p=[0.1, 0.8, 0.1]).astype(np.int16),
            "pickup_location_id": (rng.geometric(0.15, rows) + 5 * evening).astype(np.int16),
            "dropoff_location_id": rng.geometric(0.1, rows).astype(np.int16),
            "prediction": prediction,
            TARGET: prediction * np.exp(rng.normal(0, 0.2, rows)) + day_error,
        }
    )


def history(days: float = 28, seed: int = 0) -> Frames:
    """History, holdout and reference, as training returns them."""
    return _cut(trips(days + 7, seed=seed), days)


def _cut(rows: pd.DataFrame, days: float) -> Frames:
    cut = int(days * ROWS_PER_DAY)
    fitted, holdout = rows.iloc[:cut], rows.iloc[cut:].reset_index(drop=True)
    parts = [fitted.iloc[::2].assign(part="window"), holdout.assign(part="holdout")]
    return fitted, holdout, pd.concat(parts, ignore_index=True)


def calibrated(drift: Drift = DRIFT) -> tuple[Reference, Thresholds]:
    fitted, holdout, reference = history()
    window = reference[reference["part"] == "window"]
    return Reference(window, holdout, CONTRACT), calibrate(fitted, holdout, reference, FEATURES, drift)


def manifest(importances: dict[str, float] = IMPORTANCES) -> Manifest:
    zones = dict.fromkeys(CONTRACT.told_apart, (1, 2))
    return Manifest(FEATURES, importances, datetime(2026, 2, 1, tzinfo=UTC), CONTRACT, zones, {})


def later(seed: int = 1) -> pd.DataFrame:
    """Twenty-one steady days after the history."""
    return trips(21, start="2026-02-09T05:00", seed=seed)


def moving(level: Callable[[np.ndarray], np.ndarray], days: float = 91, seed: int = 0) -> Frames:
    """History, holdout and reference in which targets rise by `level`, a logarithm by shares of the whole time."""
    rows = trips(days + 7, seed=seed)
    rows[TARGET] = np.maximum(rows[TARGET], 1) * np.exp(level(np.linspace(0, 1, len(rows))))
    return _cut(rows, days)
