"""Evaluation: the errors on rows that the model never saw, and the importance of its features."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.features import GROUPS, feature_matrix
from autoops.months import NEW_YORK
from autoops.trips import TARGET, columns_of

Array = npt.NDArray[Any]

IMPORTANCE_ROWS = 5_000
IMPORTANCE_REPEATS = 3


class Predictor(Protocol):
    """A fitted model."""

    def predict(self, inputs: Array) -> Array:
        """Return the predicted minutes, of shape (rows,), for inputs of shape (rows, features)."""


def holdout_begins_at(newest: datetime, days: int) -> datetime:
    """Return midnight in New York at the beginning of the last `days` days, of which the day of `newest` is one."""
    first = newest.astimezone(NEW_YORK).date() - timedelta(days=days - 1)
    return datetime.combine(first, time(), NEW_YORK)


def split_at(trips: pd.DataFrame, moment: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trips before the timestamp, and those from it on; `trips` is sorted by event time."""
    position = int(trips["pickup_at"].searchsorted(pd.Timestamp(moment).tz_convert("UTC")))
    return trips.iloc[:position], trips.iloc[position:]


def metrics(holdout: pd.DataFrame, history: pd.DataFrame) -> dict[str, float]:
    """Return the errors of the holdout's predictions in minutes, with `r2` and the number of `rows`.

    `bias` is positive where the model predicts too long. `baseline_mae` is the error of always predicting the median of
    the history. Both frames have one row per trip, with the target and `prediction` in minutes.
    """
    actual = holdout[TARGET].to_numpy()
    error = holdout["prediction"].to_numpy() - actual
    spread = float(((actual - actual.mean()) ** 2).sum())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        # Without spread R² is undefined; 0 keeps the metric a number.
        "r2": 1 - float((error**2).sum()) / spread if spread > 0 else 0.0,
        "bias": float(error.mean()),
        "baseline_mae": float(np.abs(history[TARGET].median() - actual).mean()),
        "rows": float(len(holdout)),
    }


def importances(model: Predictor, holdout: pd.DataFrame, features: Sequence[str]) -> dict[str, float]:
    """Return the permutation importance of each feature, or group of features (Breiman 2001).

    It is the share of each in the model's accuracy: by how much the mean absolute error grows when its columns are
    permuted together. The shares sum to 1; a feature that does not help has 0.
    """
    # Fixed seeds: the same trips give the same bundle to the byte.
    draw = np.random.default_rng(0)
    some = holdout.sample(min(IMPORTANCE_ROWS, len(holdout)), random_state=0)
    inputs, actual = feature_matrix(columns_of(some), features), some[TARGET].to_numpy()
    intact = np.abs(model.predict(inputs) - actual).mean()
    growth = {}
    for group, columns in _columns_by_group(features).items():
        errors = []
        for _ in range(IMPORTANCE_REPEATS):
            permuted = inputs.copy()
            permuted[:, columns] = inputs[draw.permutation(len(inputs))][:, columns]
            errors.append(np.abs(model.predict(permuted) - actual).mean())
        growth[group] = max(0.0, float(np.mean(errors) - intact))
    return _normalised(growth)


def _columns_by_group(features: Sequence[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(features):
        groups.setdefault(GROUPS.get(name, name), []).append(position)
    return groups


def _normalised(growth: Mapping[str, float]) -> dict[str, float]:
    total = sum(growth.values())
    # A model that uses no feature: equal shares still sum to 1.
    if total == 0:
        return {name: 1 / len(growth) for name in growth}
    return {name: value / total for name, value in growth.items()}
