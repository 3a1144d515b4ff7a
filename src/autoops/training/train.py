"""Training: hold out the newest days, choose the rows, fit, evaluate."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from autoops import settings
from autoops.training import estimator, evaluate, figures, window


@dataclass(frozen=True)
class Trained:
    """A fitted model with all that its bundle, its registration and its monitoring need.

    `history` is the training window, of which `note` says how many rows were fitted, and `holdout` the rows held out.
    Both have one row per trip in event order, with TRIP_COLUMNS and, in minutes, the target and `prediction`.
    `reference` is a sample of the history (`part` = "window") and the whole holdout (`part` = "holdout"). `importances`
    are by feature group and sum to 1; `zones` occur in the history; `trained_until` is the newest event time of the
    history; `window_choice` is "all" or "since change".
    """

    model: Any
    parameters: dict[str, Any]
    metrics: dict[str, float]
    features: tuple[str, ...]
    importances: dict[str, float]
    history: pd.DataFrame
    holdout: pd.DataFrame
    reference: pd.DataFrame
    zones: tuple[int, ...]
    trained_until: datetime
    figures: dict[str, Figure]
    window_choice: str
    note: str


def train(
    trips: pd.DataFrame, model: settings.Model, training: settings.Training, evidence_start: datetime | None = None
) -> Trained:
    """Fit `model` on all trips but the last `training.holdout_days` days in New York.

    `trips` has one row per trip in event order, with TRIP_COLUMNS and the target in minutes. `evidence_start` is the
    event time of the change, if that is known: where enough rows are newer, the model is fitted on these alone if that
    does better on a validation span before the holdout.

    Raises:
        EmptyMonth: there are no trips.
        DataError: too few trips are left to fit.
        SettingsError: the model's settings are invalid.
    """
    estimator.check_model(model)
    earlier, holdout = window.hold_out(trips, training)
    chosen = window.choose(earlier, model, training, evidence_start)
    rows = window.capped(chosen.trips, training.max_rows)
    fitted = estimator.fit(model, rows)
    # All rows of the window, not only the fitted ones: a thinned history looks like less traffic,
    # and calibrates thresholds for windows that span more time.
    history = _with_predictions(chosen.trips, fitted, model)
    holdout = _with_predictions(holdout, fitted, model)
    importances = evaluate.importances(fitted, holdout, model.features)
    return Trained(
        model=fitted,
        parameters=estimator.parameters_of(fitted) | {"features": ",".join(model.features), "rows": chosen.choice},
        metrics=evaluate.metrics(holdout, history) | {"fitted_rows": float(len(rows))} | chosen.errors,
        features=model.features,
        importances=importances,
        history=history,
        holdout=holdout,
        reference=_reference(history, holdout, training.reference_rows),
        zones=tuple(sorted({*history["pickup_location_id"].tolist(), *history["dropoff_location_id"].tolist()})),
        trained_until=history["pickup_at"].iloc[-1].to_pydatetime(),
        figures=figures.draw(importances, holdout),
        window_choice=chosen.choice,
        note=_note(len(rows), len(history), training.max_rows),
    )


def _with_predictions(trips: pd.DataFrame, fitted: Any, model: settings.Model) -> pd.DataFrame:
    return trips.assign(prediction=estimator.predict(fitted, trips, model.features)).reset_index(drop=True)


def _note(fitted: int, window_rows: int, max_rows: int | None) -> str:
    if fitted == window_rows:
        return f"Fitted on all {fitted} rows of the training window."
    return (
        f"Fitted on {fitted} of {window_rows} rows of the training window, evenly spread over its days: "
        f"training.max_rows is {max_rows}."
    )


def _reference(history: pd.DataFrame, holdout: pd.DataFrame, rows: int) -> pd.DataFrame:
    sample = history.sample(min(rows, len(history)), random_state=0).sort_values("pickup_at", kind="stable")
    return pd.concat([sample.assign(part="window"), holdout.assign(part="holdout")], ignore_index=True)
