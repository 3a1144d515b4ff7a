"""The default use case as tests use it: its contract, its models, and its parts with the contract filled in."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from autoops.drift import calibration
from autoops.months import Month
from autoops.serving.payloads.row_models import RowModels
from autoops.settings import Model, Training
from autoops.storage.predictions import LoggedPrediction
from autoops.training.train import Trained
from autoops.training.train import train as train_by
from autoops.usecase import calendar, declaration, segments
from autoops.usecase.columns import EVENT_AT, TARGET, Columns
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import Encoder, Inputs
from autoops.usecases.taxi.trips import NEW_YORK

CONTRACT = declaration.load("taxi")
MODELS = RowModels.of(CONTRACT)
Trip, TripColumns, TripBatch = MODELS.row, MODELS.row_columns, MODELS.row_batch
GroundTruth, GroundTruthBatch = MODELS.ground_truth, MODELS.ground_truth_batch
Prediction, PredictionBatch = MODELS.prediction, MODELS.prediction_batch
PredictionColumnBatch = MODELS.prediction_column_batch
TRIP_COLUMNS = (EVENT_AT, *CONTRACT.inputs)
EARLIEST, LATEST = Month(2009, 1).starts_in(NEW_YORK), Month(2099, 12).ends_in(NEW_YORK)
"""The range of `pickup_at`: `EARLIEST` is included, `LATEST` is not."""

local_hours = partial(calendar.local_hours, zone=CONTRACT.zone)
hour_of_day = partial(calendar.calendar, "hour_of_day", zone=CONTRACT.zone)
day_of_week = partial(calendar.calendar, "day_of_week", zone=CONTRACT.zone)
hour_of_week = partial(calendar.calendar, "hour_of_week", zone=CONTRACT.zone)


def encoder(names: Sequence[str]) -> Encoder:
    """Return the transform to these inputs, of a version that has seen no category."""
    return Encoder(CONTRACT, names, {})


def feature_matrix(rows: Columns, names: Sequence[str]) -> Inputs:
    """Return model inputs, shape (rows, len(names))."""
    return encoder(names).matrix(rows)


def raw_of(row: LoggedPrediction) -> dict[str, Any]:
    """Return the raw values of a logged trip by name."""
    return dict(zip(CONTRACT.inputs, row.inputs, strict=True))


def as_sent(trips: Any) -> Any:
    """Return trips with the names that clients and their files give to the columns."""
    return trips.rename(columns={EVENT_AT: CONTRACT.event_time.column, TARGET: CONTRACT.target.column})


def train(trips: Any, model: Model, training: Training, *since: Any) -> Trained:
    """Train on trips."""
    return train_by(trips, CONTRACT, model, training, *since)


def calibrate(
    history: Any, holdout: Any, reference: Any, features: Sequence[str], drift: Any, contract: Contract = CONTRACT
) -> Any:
    """Return thresholds from trips, or from rows of another contract."""
    measured = calibration.measure(history, holdout, reference, features, contract, drift)
    return calibration.thresholds_from(measured, drift, contract)


def segments_of(trips: Columns, names: Sequence[str]) -> dict[str, Any]:
    """Return the masks of the segments of trips."""
    return segments.segments_of(CONTRACT, trips, names)
