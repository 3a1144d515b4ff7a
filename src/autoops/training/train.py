"""Training: hold out some of the newest days, choose the rows, fit, evaluate."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from autoops import settings
from autoops.cadence import SPARSE, rows_per_day
from autoops.errors import DataError, SettingsError
from autoops.training import estimator, evaluate, figures, window
from autoops.training.trial import check_model
from autoops.usecase.columns import CROSS_FITTED, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import Encoder

WEEK_DAYS, FOLDS, FOLD_ROWS = 7, 5, 20_000


@dataclass(frozen=True)
class Trained:
    """A fitted model with all that its bundle, its registration and its monitoring need.

    `history` is the training window, of which `note` says how many rows were fitted, and `holdout` the rows held out.
    Both have one row per row of the use case in event order, with target and prediction. A sparse table's history also
    has the column CROSS_FITTED.
    `reference` is a sample of the history (`part` = "window") and the whole holdout (`part` = "holdout"). `importances`
    are by feature group and sum to 1; `encoder` makes the model's inputs; `trained_until` is the newest event time of
    the history; `window_choice` is "all" or "since change".
    """

    model: Any
    parameters: dict[str, Any]
    metrics: dict[str, float]
    encoder: Encoder
    importances: dict[str, float]
    history: pd.DataFrame
    holdout: pd.DataFrame
    reference: pd.DataFrame
    trained_until: datetime
    figures: dict[str, Figure]
    window_choice: str
    note: str


def train(
    rows: pd.DataFrame,
    contract: Contract,
    model: settings.Model,
    training: settings.Training,
    evidence_start: datetime | None = None,
) -> Trained:
    """Fit `model` on all rows but those of `training.holdout_days` of the newest days.

    `rows` are in event order, with features and target, in the form of `usecase.columns`. `evidence_start` is the
    event time of the change, if that is known: where enough rows are newer, the model is fitted on these alone if that
    does better on a validation span at their end.

    Raises:
        EmptyMonth: there are no rows.
        DataError: too few rows are left to fit.
        SettingsError: the model's settings are invalid.
    """
    check_model(model, contract)
    earlier, holdout = window.hold_out(rows, contract, training, evidence_start)
    chosen = window.choose(earlier, contract, model, training, evidence_start)
    some = window.capped(chosen.rows, training.max_rows)
    encoder = estimator.encoder_of(contract, model, chosen.rows)
    fitted = estimator.fit(model, encoder, some)
    # All rows of the window, not only the fitted ones: a thinned history looks like less traffic,
    # and calibrates thresholds for windows that span more time.
    history = _with_predictions(chosen.rows, fitted, encoder)
    if rows_per_day(columns_of(chosen.rows[["event_at"]])["event_at"]) < SPARSE:
        # Rare positives may all be in one part of the rows, and a part may be too small for an estimator's own folds.
        with suppress(DataError, SettingsError):
            history = history.assign(**{CROSS_FITTED: _cross_fitted(chosen.rows, model, contract)})
    holdout = _with_predictions(holdout, fitted, encoder)
    importances = evaluate.importances(fitted, holdout, encoder)
    return Trained(
        model=fitted,
        parameters=estimator.parameters_of(fitted) | {"features": ",".join(model.features), "rows": chosen.choice},
        metrics=evaluate.metrics(contract, holdout, history) | {"fitted_rows": float(len(some))} | chosen.errors,
        encoder=encoder,
        importances=importances,
        history=history,
        holdout=holdout,
        reference=_reference(history, holdout, training.reference_rows),
        trained_until=history["event_at"].iloc[-1].to_pydatetime(),
        figures=figures.draw(importances, holdout, contract),
        window_choice=chosen.choice,
        note=_note(len(some), len(history), training.max_rows),
    )


def _with_predictions(rows: pd.DataFrame, fitted: Any, encoder: Encoder) -> pd.DataFrame:
    return rows.assign(prediction=estimator.predict(fitted, rows, encoder)).reset_index(drop=True)


def _cross_fitted(rows: pd.DataFrame, model: settings.Model, contract: Contract) -> npt.NDArray[np.float64]:
    """Return what models say that were fitted without a row's own week, shape (rows,).

    A holdout of seven days has few windows of a sparse table, which says little about errors on unseen rows.
    """
    days = (rows["event_at"] - rows["event_at"].min()) // pd.Timedelta(days=1)
    fold, found = (days // WEEK_DAYS).to_numpy() % FOLDS, np.empty(len(rows))
    for number in np.unique(fold):
        inside = fold == number
        others = window.capped(rows[~inside] if not inside.all() else rows, FOLD_ROWS)
        encoder = estimator.encoder_of(contract, model, others)
        found[inside] = estimator.predict(estimator.fit(model, encoder, others), rows[inside], encoder)
    return found


def _note(fitted: int, window_rows: int, max_rows: int | None) -> str:
    if fitted == window_rows:
        return f"Fitted on all {fitted} rows of the training window."
    return (
        f"Fitted on {fitted} of {window_rows} rows of the training window, evenly spread over its days: "
        f"training.max_rows is {max_rows}."
    )


def _reference(history: pd.DataFrame, holdout: pd.DataFrame, rows: int) -> pd.DataFrame:
    sample = (
        history.drop(columns=CROSS_FITTED, errors="ignore")
        .sample(min(rows, len(history)), random_state=0)
        .sort_values("event_at", kind="stable")
    )
    return pd.concat([sample.assign(part="window"), holdout.assign(part="holdout")], ignore_index=True)
