"""What others would set up first: Evidently's preset as it comes, and a Kolmogorov-Smirnov test of each column."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import ks_2samp

from autoops.drift.distances import jensen_shannon, wasserstein
from autoops.usecase.columns import PREDICTION, TARGET, columns_of
from tests.taxi import feature_matrix

CATEGORIES = ("day_of_week", "month", "pickup_location_id", "dropoff_location_id")
"""Those of `autoops.backtest.evidently_default`, by the names of model inputs."""
DISTANCE, DRIFT_SHARE, LEVEL = 0.1, 0.5, 0.05
"""Evidently's defaults for a reference of more than 1000 rows, and the usual level of a test."""

Columns = Mapping[str, npt.NDArray[np.float64]]


def columns(rows: pd.DataFrame, features: tuple[str, ...]) -> Columns:
    """What the model takes in, says and should have said."""
    matrix = feature_matrix(columns_of(rows), features).astype(np.float64)
    inputs = {name: matrix[:, position] for position, name in enumerate(features)}
    return inputs | {name: rows[name].to_numpy(dtype=np.float64) for name in (PREDICTION, TARGET)}


def evidently_drifted(reference: Columns, window: Columns) -> list[str]:
    """The columns that its preset calls drifted: the distances that it chooses, against all of the reference."""
    found = {
        name: (jensen_shannon if name in CATEGORIES else wasserstein)(reference[name], window[name])
        for name in reference
    }
    return [name for name, distance in found.items() if distance >= DISTANCE]


def ks_drifted(reference: Columns, window: Columns) -> list[str]:
    """Inputs and predictions, each by itself."""
    names = [name for name in reference if name != TARGET]
    return [name for name in names if ks_2samp(reference[name], window[name], method="asymp").pvalue < LEVEL]


def alarms(reference: Columns, window: Columns) -> dict[str, bool]:
    drifted = evidently_drifted(reference, window)
    return {
        "Evidently's preset, half of the columns": len(drifted) >= DRIFT_SHARE * len(reference),
        "Evidently's preset, any column": bool(drifted),
        "KS with p < 0.05, any column": bool(ks_drifted(reference, window)),
    }
