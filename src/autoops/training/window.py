"""The trips that a model is fitted on: all before the holdout, or only those since a change."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from autoops.errors import DataError, EmptyMonth
from autoops.event_times import newest_of
from autoops.settings import Model, Training
from autoops.training import estimator
from autoops.training.evaluate import holdout_begins_at, split_at
from autoops.trips import TARGET, columns_of

ALL, SINCE_CHANGE = "all", "since change"


@dataclass(frozen=True)
class Window:
    """The rows to fit on, their name (ALL or SINCE_CHANGE), and the validation errors in minutes that decided it."""

    trips: pd.DataFrame
    choice: str = ALL
    errors: dict[str, float] = field(default_factory=dict)


def hold_out(trips: pd.DataFrame, training: Training) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trips before the holdout, and the holdout.

    Raises:
        EmptyMonth: there are no trips.
        DataError: fewer than `training.min_rows` are before the holdout.
    """
    if trips.empty:
        raise EmptyMonth("training: there are no trips")
    # Not the last row: a few trips of a client with a wrong clock would move the holdout.
    newest = newest_of(columns_of(trips)["pickup_at"])
    assert newest is not None
    begins_at = holdout_begins_at(newest, training.holdout_days)
    earlier, holdout = split_at(trips, begins_at)
    if len(earlier) < training.min_rows:
        raise DataError(
            f"training: {len(earlier)} trips before the holdout, which begins on {begins_at:%Y-%m-%d} and has "
            f"{len(holdout)}; training.min_rows is {training.min_rows}"
        )
    return earlier, holdout


def capped(trips: pd.DataFrame, max_rows: int | None) -> pd.DataFrame:
    """Return at most `max_rows` of the trips, evenly spread over event time: each day keeps its share."""
    if max_rows is None or len(trips) <= max_rows:
        return trips
    return trips.iloc[np.arange(max_rows) * len(trips) // max_rows]


def choose(earlier: pd.DataFrame, model: Model, training: Training, evidence_start: datetime | None) -> Window:
    """Choose all trips, or those since the change, by their errors on a validation span at the end of `earlier`.

    Without enough rows since the change there is no choice.
    """
    if evidence_start is None:
        return Window(earlier)
    before, since = split_at(earlier, evidence_start)
    if before.empty or len(since) < training.min_rows:
        return Window(earlier)
    validation_begins_at = _validation_begins_at(since, training.holdout_days)
    fitted, validation = split_at(since, validation_begins_at)
    # Trips that all begin at one time are all in the validation span.
    if fitted.empty:
        return Window(earlier)
    # Capped like the final fit, so that the choice holds for the model that is trained.
    all_error = _error(capped(pd.concat([before, fitted]), training.max_rows), validation, model)
    since_error = _error(capped(fitted, training.max_rows), validation, model)
    errors = {"validation_mae_all": all_error, "validation_mae_since_change": since_error}
    # The winner gets all of its rows back, those of the validation span included.
    return Window(since, SINCE_CHANGE, errors) if since_error < all_error else Window(earlier, ALL, errors)


def _validation_begins_at(since: pd.DataFrame, holdout_days: int) -> datetime:
    """Return where the last `holdout_days` days begin, or the last third of the rows where that is shorter."""
    newest = newest_of(columns_of(since)["pickup_at"])
    assert newest is not None
    third: datetime = since["pickup_at"].iloc[len(since) * 2 // 3].to_pydatetime()
    return max(newest - timedelta(days=holdout_days), third)


def _error(rows: pd.DataFrame, validation: pd.DataFrame, model: Model) -> float:
    predicted = estimator.predict(estimator.fit(model, rows), validation, model.features)
    return float(np.abs(predicted - validation[TARGET].to_numpy()).mean())
