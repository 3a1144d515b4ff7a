"""Sampled months as the loop sees them, a forest on them, and what to measure of both."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from autoops.ingestion.source import file_name
from autoops.months import Month
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecases.taxi.clean import Cleaned, clean
from autoops.usecases.taxi.sample import Scenario, write_sample
from tests.taxi import feature_matrix

MAY = Month(2023, 5)
FEATURES = ("trip_distance", "passenger_count", "hour", "day_of_week", "pickup_location_id", "dropoff_location_id")


def sampled(directory: Path, scenario: Scenario = "steady", magnitude: float | None = None, seed: int = 7) -> Cleaned:
    write_sample(directory, [MAY], seed=seed, scenario=scenario, magnitude=magnitude)
    return clean(directory / file_name(MAY), MAY)


def fitted(trips: pd.DataFrame) -> RandomForestRegressor:
    forest = RandomForestRegressor(20, max_depth=14, min_samples_leaf=10, max_features=0.5, n_jobs=2, random_state=0)
    return forest.fit(feature_matrix(columns_of(trips), FEATURES), trips[TARGET])


def mae(forest: RandomForestRegressor, trips: pd.DataFrame) -> float:
    error = trips[TARGET] - forest.predict(feature_matrix(columns_of(trips), FEATURES))
    return float(error.abs().mean())


def mph(trips: pd.DataFrame) -> pd.Series:
    return trips["trip_distance"] / trips[TARGET] * 60


def distance_of_zones(a: pd.DataFrame, b: pd.DataFrame) -> float:
    """Total variation over the busiest zones, where samples suffice."""
    shares = [frame["pickup_location_id"].value_counts(normalize=True) for frame in (a, b)]
    busiest = shares[1].index[:20]
    return float(np.abs(shares[0].reindex(busiest, fill_value=0) - shares[1][busiest]).sum() / 2)
