"""Evidently's drift preset with all settings at their defaults: the baseline that many would set up first."""

from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from autoops.drift.monitor import Reference
from autoops.features import feature_matrix
from autoops.loop.context import Context
from autoops.models.registry import ModelVersion
from autoops.models.scoring import Scorer, load_version
from autoops.months import Month
from autoops.trips import TARGET, columns_of

CATEGORIES = ("day_of_week", "month", "pickup_location_id", "dropoff_location_id")


def drifted(context: Context, champion: ModelVersion, month: Month) -> bool:
    """Return whether Evidently's preset calls the published month drifted.

    The preset chooses its own tests. It compares the month with a sample of the trips that the champion was fitted on,
    in all model features, the predictions and the ground truth.
    """
    context.store.ingest(context.source, month)
    scorer = load_version(context.registry, champion, context.model_cache)
    reference, trips = Reference.read(scorer.directory).window, context.store.load([month])
    snapshot = Report([DataDriftPreset()]).run(_dataset(trips, scorer), _dataset(reference, scorer))
    # The preset's first metric counts drifted columns; each other one is about a single column.
    counted: dict[str, Any] = snapshot.dict()["metrics"][0]
    return bool(counted["value"]["share"] >= counted["config"]["drift_share"])


def _dataset(trips: pd.DataFrame, scorer: Scorer) -> Dataset:
    columns = columns_of(trips)
    features = scorer.manifest.features
    frame = pd.DataFrame(feature_matrix(columns, features).astype("float64"), columns=list(features))
    categories = [name for name in features if name in CATEGORIES]
    frame = frame.astype(dict.fromkeys(categories, "int64")).astype(dict.fromkeys(categories, "str"))
    frame = frame.assign(prediction=scorer.predict_trips(columns), **{TARGET: trips[TARGET].to_numpy()})
    numbers = [name for name in frame.columns if name not in categories]
    return Dataset.from_pandas(
        frame, data_definition=DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    )
