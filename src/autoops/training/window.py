"""The rows that a model is fitted on: all before the holdout, or only those since a change."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from autoops.cadence import asked_of, rows_per_day
from autoops.errors import DataError, EmptyMonth
from autoops.event_times import newest_of
from autoops.settings import Model, Training
from autoops.training import estimator
from autoops.training.evaluate import holdout_begins_at, split_at
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import losses

SPARSE_DAYS, SPARSE_ROWS = 28, 500
"""Four whole weeks, and at least so many rows, suffice to fit a model of a table with few rows a day."""

SINCE_DAYS, SINCE_ROWS = 14, 250
"""So much of such a table since a change may be chosen: validation says whether it is better than all rows."""

ALL, SINCE_CHANGE = "all", "since change"


@dataclass(frozen=True)
class Window:
    """The rows to fit on, their name (ALL or SINCE_CHANGE), and the validation errors that decided it."""

    rows: pd.DataFrame
    choice: str = ALL
    errors: dict[str, float] = field(default_factory=dict)


def hold_out(rows: pd.DataFrame, contract: Contract, training: Training) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows before the holdout, and the holdout.

    Raises:
        EmptyMonth: there are no rows.
        DataError: fewer than `least_rows` are before the holdout.
    """
    if rows.empty:
        raise EmptyMonth(f"training: there are no {contract.plural}")
    # Not the last row: a few rows of a client with a wrong clock would move the holdout.
    newest = newest_of(columns_of(rows)["event_at"])
    assert newest is not None
    begins_at = holdout_begins_at(newest, training.holdout_days, contract)
    earlier, holdout = split_at(rows, begins_at)
    least = least_rows(rows, training)
    if len(earlier) < least:
        raise DataError(
            f"training: {len(earlier)} {contract.plural} before the holdout, which begins on {begins_at:%Y-%m-%d} and "
            f"has {len(holdout)}; at least {least} are needed (training.min_rows is {training.min_rows}): train on "
            "more months, or lower it"
        )
    return earlier, holdout


def least_rows(rows: pd.DataFrame, training: Training) -> int:
    """Return how many rows a model needs: `training.min_rows`, or those of SPARSE_DAYS where these are fewer."""
    return asked_of(training.min_rows, rows_per_day(columns_of(rows)["event_at"]), SPARSE_DAYS, SPARSE_ROWS)


def capped(rows: pd.DataFrame, max_rows: int | None) -> pd.DataFrame:
    """Return at most `max_rows` of the rows, evenly spread over event time: each day keeps its share."""
    if max_rows is None or len(rows) <= max_rows:
        return rows
    return rows.iloc[np.arange(max_rows) * len(rows) // max_rows]


def choose(
    earlier: pd.DataFrame, contract: Contract, model: Model, training: Training, evidence_start: datetime | None
) -> Window:
    """Choose all rows, or those since the change, by their errors on a validation span at the end of `earlier`.

    Without enough rows since the change there is no choice.
    """
    if evidence_start is None:
        return Window(earlier)
    before, since = split_at(earlier, evidence_start)
    rate = rows_per_day(columns_of(earlier)["event_at"])
    if before.empty or len(since) < asked_of(training.min_rows, rate, SINCE_DAYS, SINCE_ROWS):
        return Window(earlier)
    validation_begins_at = _validation_begins_at(since, training.holdout_days)
    fitted, validation = split_at(since, validation_begins_at)
    # Rows that all begin at one time are all in the validation span, and rare positives may be.
    if fitted.empty or (contract.task == "binary" and fitted[TARGET].nunique() < 2):
        return Window(earlier)
    # Capped like the final fit, so that the choice holds for the model that is trained.
    all_error = _error(capped(pd.concat([before, fitted]), training.max_rows), validation, contract, model)
    since_error = _error(capped(fitted, training.max_rows), validation, contract, model)
    errors = {"validation_loss_all": all_error, "validation_loss_since_change": since_error}
    # The winner gets all of its rows back, those of the validation span included.
    return Window(since, SINCE_CHANGE, errors) if since_error < all_error else Window(earlier, ALL, errors)


def _validation_begins_at(since: pd.DataFrame, holdout_days: int) -> datetime:
    """Return where the last `holdout_days` days begin, or the last third of the rows where that is shorter."""
    newest = newest_of(columns_of(since)["event_at"])
    assert newest is not None
    third: datetime = since["event_at"].iloc[len(since) * 2 // 3].to_pydatetime()
    return max(newest - timedelta(days=holdout_days), third)


def _error(rows: pd.DataFrame, validation: pd.DataFrame, contract: Contract, model: Model) -> float:
    encoder = estimator.encoder_of(contract, model, rows)
    predicted = estimator.predict(estimator.fit(model, encoder, rows), validation, encoder)
    truth = validation[TARGET].to_numpy(dtype=np.float64)
    return float(losses(contract, truth, predicted).mean())
