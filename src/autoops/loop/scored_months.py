"""Published months through the champion into the prediction log: the loop without live traffic."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import uuid_utils

from autoops.loop.pipeline import Pipeline
from autoops.months import Month
from autoops.predictions import Label, LoggedPrediction, Scope
from autoops.registry import ModelVersion, champion_of
from autoops.scoring import load_version
from autoops.trips import TARGET, columns_of

CHUNK = 5_000


def score(pipeline: Pipeline, month: Month, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Logs the champion's predictions for a published month with their ground truth; again is harmless."""
    champion = champion_of(pipeline.registry)
    pipeline.store.ingest(pipeline.source, month)
    trips = pipeline.store.load([month])
    predicted = load_version(pipeline.registry, champion, pipeline.model_cache).predict_trips(columns_of(trips))
    if pipeline.log.count(Scope(champion.number, str(month))) < len(trips):
        for start in range(0, len(trips), CHUNK):
            part = slice(start, start + CHUNK)
            _log(pipeline, champion, month, start, trips.iloc[part], predicted[part])
            if progress:
                progress(min(start + CHUNK, len(trips)), len(trips))
    error = float(np.abs(predicted - trips[TARGET].to_numpy()).mean())
    return {"month": str(month), "model_version": champion.number, "rows": len(trips), "mae": error}


def _log(
    pipeline: Pipeline,
    champion: ModelVersion,
    month: Month,
    start: int,
    trips: pd.DataFrame,
    predicted: npt.NDArray[np.float64],
) -> None:
    now = pipeline.clock.now()
    rows = [
        _row(trip, float(minutes), champion.number, month, start + position, now)
        for position, (trip, minutes) in enumerate(zip(trips.itertuples(), predicted, strict=True))
    ]
    standing = pipeline.log.append(rows)
    truth = trips[TARGET].tolist()
    labels = [Label(minutes, prediction_id=row.id) for row, minutes in zip(standing, truth, strict=True)]
    pipeline.log.attach(labels, now)


def _row(trip: Any, minutes: float, version: int, month: Month, position: int, now: datetime) -> LoggedPrediction:
    return LoggedPrediction(
        id=str(uuid_utils.uuid7()),
        request_id=f"{month}/v{version}/{position}",
        event_at=trip.pickup_at.to_pydatetime(),
        predicted_at=now,
        model_version=version,
        source=str(month),
        trip_distance=float(trip.trip_distance),
        passenger_count=int(trip.passenger_count),
        pickup_location_id=int(trip.pickup_location_id),
        dropoff_location_id=int(trip.dropoff_location_id),
        prediction=minutes,
    )
