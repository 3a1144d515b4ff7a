"""The rows that a model is fitted on: all but the holdout, or only those since a change.

The holdout consists of whole days that are spread over the newest four weeks, so that a week of holidays does not
decide what is promoted. Its neighbouring days are fitted on. No day is: live traffic is later than all of them.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import gcd

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.cadence import FULL_DAY, asked_of, rows_per_day
from autoops.errors import DataError, EmptyMonth
from autoops.event_times import newest_of
from autoops.settings import Model, Training
from autoops.training import estimator
from autoops.training.evaluate import split_at
from autoops.usecase.calendar import local_days
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import losses

SPARSE_DAYS, SPARSE_ROWS = 28, 500
"""Four whole weeks, and at least so many rows, suffice to fit a model of a table with few rows a day."""

SINCE_DAYS, SINCE_ROWS = 14, 250
"""So much of such a table since a change may be chosen: validation says whether it is better than all rows."""

SPREAD_DAYS = 28
"""Days with rows over which the holdout is spread."""

_EPOCH = date(1970, 1, 1).toordinal()

ALL, SINCE_CHANGE = "all", "since change"


@dataclass(frozen=True)
class Window:
    """The rows to fit on, their name (ALL or SINCE_CHANGE), and the validation errors that decided it."""

    rows: pd.DataFrame
    choice: str = ALL
    errors: dict[str, float] = field(default_factory=dict)


def hold_out(
    rows: pd.DataFrame, contract: Contract, training: Training, evidence_start: datetime | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to fit on, and the holdout.

    Where enough days follow `evidence_start`, the time of a change, all of the holdout does.

    Raises:
        EmptyMonth: there are no rows.
        DataError: fewer than `least_rows` are left to fit on.
    """
    if rows.empty:
        raise EmptyMonth(f"training: there are no {contract.plural}")
    times = columns_of(rows[["event_at"]])["event_at"]
    # Not the last row: a few rows of a client with a wrong clock would move the holdout.
    newest = newest_of(times)
    assert newest is not None
    days, newest_day = local_days(times, contract.zone), newest.astimezone(contract.zone).date().toordinal() - _EPOCH
    changed_on = (
        None if evidence_start is None else evidence_start.astimezone(contract.zone).date().toordinal() - _EPOCH
    )
    held_days = held_out_days(days[days <= newest_day], training.holdout_days, changed_on)
    # What is newer than the newest day is never fitted: `trained_until` would be a wrong clock's time.
    held = np.isin(days, held_days) | (days > newest_day)
    earlier, holdout = rows[~held], rows[held]
    least = least_rows(rows, training)
    if len(earlier) < least:
        raise DataError(
            f"training: {len(earlier)} {contract.plural} beside the holdout, whose {len(held_days)} days have "
            f"{len(holdout)}; at least {least} are needed (training.min_rows is {training.min_rows}): train on "
            "more months, or lower it"
        )
    return earlier, holdout


def held_out_days(days: npt.NDArray[np.int64], count: int, changed_on: int | None = None) -> npt.NDArray[np.int64]:
    """Return `count` of the `days` with rows, newest first, which has one day number for each row.

    They are every k-th day that has rows, with k such that they spread over `SPREAD_DAYS`, as far as there are as many
    days, or as many since the day number `changed_on`, and such that no weekday is left out.

    >>> held_out_days(np.arange(60), 7)
    array([59, 55, 51, 47, 43, 39, 35])
    """
    names, rows = np.unique(days, return_counts=True)
    names = names[rows > FULL_DAY * rows.max()][::-1]
    since = names if changed_on is None else names[names > changed_on]
    if len(since) < count:
        since = names
    step = max(1, min(SPREAD_DAYS, len(since)) // count)
    weekdays = len(np.unique(since % 7))
    # Every fourth day of a table with rows on two weekdays would always be the same one.
    while step > 1 and gcd(step, weekdays) > 1:
        step = step + 1 if (step + 1) * (count - 1) < len(since) else 1
    return np.asarray(since[::step][:count])


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
