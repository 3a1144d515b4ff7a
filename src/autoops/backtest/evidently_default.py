"""Evidently's drift preset with all settings at their defaults: the baseline that many would set up first."""

from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from autoops.drift.monitor import Reference
from autoops.loop.context import Context
from autoops.models.registry import ModelVersion
from autoops.models.scoring import Scorer, load_version
from autoops.months import Month
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.contract import Contract

CATEGORIES = ("day_of_week", "month_of_year")
"""Calendar features that are categories, beside those that the use case declares."""


def drifted(context: Context, champion: ModelVersion, month: Month) -> bool:
    """Return whether Evidently's preset calls the published month drifted.

    The preset chooses its own tests. It compares the month with a sample of the trips that the champion was fitted on,
    in all model features, the predictions and the ground truth.
    """
    context.store.ingest(context.source, month)
    scorer = load_version(context.registry, champion, context.model_cache)
    reference, trips = Reference.read(scorer.directory, scorer.manifest).window, context.store.load([month])
    snapshot = Report([DataDriftPreset()]).run(_dataset(trips, scorer), _dataset(reference, scorer))
    # The preset's first metric counts drifted columns; each other one is about a single column.
    counted: dict[str, Any] = snapshot.dict()["metrics"][0]
    return bool(counted["value"]["share"] >= counted["config"]["drift_share"])


def _dataset(trips: pd.DataFrame, scorer: Scorer) -> Dataset:
    columns = columns_of(trips)
    contract, features = scorer.encoder.contract, scorer.manifest.features
    frame = pd.DataFrame(scorer.encoder.matrix(columns).astype("float64"), columns=list(features))
    categories = [name for name in features if _is_category(contract, name)]
    # A missing category is a value of its own: -1 is the code of unseen ones.
    frame = frame.fillna(dict.fromkeys(categories, -2))
    frame = frame.astype(dict.fromkeys(categories, "int64")).astype(dict.fromkeys(categories, "str"))
    frame = frame.assign(prediction=scorer.predict_rows(columns), **{TARGET: trips[TARGET].to_numpy()})
    numbers = [name for name in frame.columns if name not in categories]
    return Dataset.from_pandas(
        frame, data_definition=DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    )


def _is_category(contract: Contract, name: str) -> bool:
    if name in contract.derived:
        return contract.derived[name].calendar in CATEGORIES
    return contract.features[name].type == "category"
