"""Thresholds from the version's own history: how far its ordinary windows deviate.

Consecutive windows of history are compared with the reference exactly as the monitor compares live ones, except that
the reference leaves out the window's own time: a window must not be compared with itself. The incidents that steady
traffic may open in a year are split evenly over all alarm types (Bonferroni). Where the level of a statistic moved
within the history (`motion`), thresholds are about its newest level. Within data drift each feature's windows may alarm

    max(drift.threshold, 1 / groups) / members of its group

times as often as they might alone. The reason: if every group drifts by chance with probability p, the drifted share of
importance has expectation p. It reaches `drift.threshold` with probability p / drift.threshold at most (Markov), and
any group at all drifts with probability p * groups at most.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops import settings
from autoops.cadence import asked_of
from autoops.drift import motion, performance
from autoops.drift.distances import compare, evenly, matched, seasons
from autoops.drift.performance import level_of, levels, out_of_sample, scale_of
from autoops.drift.schedule import DAYS_PER_YEAR, Schedule
from autoops.drift.tails import FEWEST_WINDOWS, Ordinary, Series
from autoops.drift.thresholds import (
    DATA_DRIFT,
    PREDICTION_DRIFT,
    WEEK_DAYS,
    Limits,
    Thresholds,
    noticed,
    span_days,
)
from autoops.usecase.columns import CROSS_FITTED, PREDICTION, TARGET, columns_of
from autoops.usecase.contract import Contract

FINDINGS = (DATA_DRIFT, PREDICTION_DRIFT, *performance.FINDINGS)
LEVEL, SIZE = "the level of errors", "the size of errors"
WEEKS_BEGIN_DAYS = 2
"""Days between the beginnings of the weeks of history that calibrate."""

CHECKED_AT = (0.0, 0.25, 0.5, 0.75)
"""Times of day, as shares of a day, at which checks may come that are too few for all the traffic."""

Positions = npt.NDArray[np.intp]
Days = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Statistics of windows in order of time, each series of shape (windows,).

    `distances` are by column, `relative` levels (`performance.levels`), `absolute` mean absolute errors. `span_days`
    is that of the shortest window, and `every_days` the mean time between the beginnings of two. `held_out` is the
    share of the rows that the model never saw, 1 where there are none to estimate the level from. `days` are the
    middles of the windows, in days since the first row. A series that moved is as if its level had always been the
    newest, which the share `known` of the windows estimates, by name.
    """

    span_days: float
    every_days: float
    held_out: float
    distances: dict[str, Series]
    relative: Series
    absolute: Series
    scale: float = 1.0
    days: Series = field(default_factory=lambda: np.empty(0))
    known: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """Statistics of a version's ordinary windows.

    `short` are consecutive windows, or, where checks cannot judge all traffic, windows as checks at different times of
    the day see them. `weekly` are windows that span a week.
    """

    rows_per_year: float
    short: tuple[Measured, ...]
    weekly: tuple[Measured, ...]


def measure(
    history: pd.DataFrame,
    holdout: pd.DataFrame,
    reference: pd.DataFrame,
    features: Sequence[str],
    contract: Contract,
    drift: settings.Drift,
) -> History:
    """Return the statistics of ordinary windows.

    All frames are as `training.train` returns them: rows in event order, with prediction and target. Of `drift`, only
    the settings that define windows and checks matter.
    """
    rows = _with_errors(contract, history, holdout)
    # Fitted rows alone, as in a live check; the holdout is no reference of features.
    fitted = reference[reference["part"] == "window"]
    days = _days(rows)
    # Less than a day counts as a day: the rate of a few busy hours is not that of a year.
    rows_per_year = len(rows) / max(days[-1], 1.0) * DAYS_PER_YEAR
    drift, asked = _of_cadence(drift, rows_per_year), drift.window_size
    size = drift.window_size
    # Windows of published months spread over their whole span, so that no hours are skipped.
    skips = drift.source == "log" and Schedule.expected(drift, rows_per_year).skips(rows_per_year, size)
    short = [_daily(days, size, phase) for phase in CHECKED_AT] if skips else [_consecutive(len(rows), size)]
    if len(short[0]) >= FEWEST_WINDOWS and _paths(*_errors(contract, rows, short[0])):
        newest = int((days[: len(history)] >= days[len(history) - 1] - WEEK_DAYS).sum())
        rows = _with_errors(contract, history, holdout, newest)
    watched, scale = contract.watched(features), _scale(contract, history, holdout)
    measured = [
        tuple(
            _measured(contract, rows, windows, fitted, watched, scale)
            for windows in kind
            if len(windows) >= FEWEST_WINDOWS
        )
        # A sparse table's windows are a week long already.
        for kind in (short, [_weekly(days, size)] if size == asked else [])
    ]
    return _at_newest(History(rows_per_year, *measured))


def thresholds_from(history: History, drift: settings.Drift, contract: Contract) -> Thresholds:
    """Return the thresholds for the yearly rate and the persistence of alarms in `drift`."""
    drift = _of_cadence(drift, history.rows_per_year)
    schedule = Schedule.expected(drift, history.rows_per_year)
    limits: list[Limits] = []
    known = history.short[0].known if history.short else {}
    for kind in (history.short, history.weekly):
        if not kind:
            continue
        found = reduce(_widest, [_limits(each, schedule, drift, contract) for each in kind])
        if not limits:
            limits.append(found)
        # `Thresholds.for_span` needs growing spans; sparse traffic takes weeks to fill a window.
        elif found.span_days > limits[0].span_days:
            limits.append(_no_wider(found, limits[0]))
    return Thresholds(
        drift.window_size,
        drift.false_alarms_per_year,
        schedule.windows_per_year,
        tuple(limits),
        history.rows_per_year / DAYS_PER_YEAR,
        f"The history moved ({', '.join(known)}); thresholds are about its newest level." if known else "",
    )


def _at_newest(history: History) -> History:
    """Return the history with the newest level of each statistic for all windows, where that level moved.

    Consecutive windows tell: those of weeks overlap.
    """
    if not history.short:
        return history
    paths = _paths(history.short[0].relative, history.short[0].absolute, history.short[0].days)
    known = {name: path.known for name, path in paths.items()}

    def steadied(measured: Measured) -> Measured:
        series = {LEVEL: measured.relative, SIZE: measured.absolute}
        series |= {name: path.steadied(series[name], measured.days, measured.span_days) for name, path in paths.items()}
        return replace(measured, relative=series[LEVEL], absolute=series[SIZE], known=known)

    return replace(history, short=tuple(map(steadied, history.short)), weekly=tuple(map(steadied, history.weekly)))


def _paths(relative: Series, absolute: Series, days: Series) -> dict[str, motion.Path]:
    """Return the paths of levels that moved."""
    paths = {name: motion.path_of(each, days) for name, each in ((LEVEL, relative), (SIZE, absolute))}
    return {name: path for name, path in paths.items() if path}


def _of_cadence(drift: settings.Drift, rows_per_year: float) -> settings.Drift:
    """Return the settings with windows of a week where a week has fewer rows than `drift.window_size`."""
    size = asked_of(drift.window_size, rows_per_year / DAYS_PER_YEAR, WEEK_DAYS)
    return drift.model_copy(update={"window_size": size})


def _with_errors(contract: Contract, history: pd.DataFrame, holdout: pd.DataFrame, newest: int = 0) -> pd.DataFrame:
    """Return all rows with `error`, `relative_error`, and `held_out` for rows that the model never saw.

    Errors on fitted rows, of which the `newest` tell or all if 0, are scaled to the size of those on rows that the
    model never saw, unless they are cross-fitted.
    """
    crossed = CROSS_FITTED in history
    parts = [
        (part[TARGET].to_numpy(dtype=float), part[name].to_numpy(dtype=float))
        for part, name in ((history, CROSS_FITTED if crossed else PREDICTION), (holdout, PREDICTION))
    ]
    scale = _scale(contract, history, holdout)
    fitted, held_out = (prediction - truth for truth, prediction in parts)
    errors = np.concatenate([fitted if crossed else out_of_sample(fitted, held_out, newest), held_out])
    fitted, held_out = (levels(contract, *part, scale) for part in parts)
    relative = np.concatenate([fitted if crossed else out_of_sample(fitted, held_out, newest), held_out])
    held = crossed | (np.arange(len(errors)) >= len(history))
    # The index repeats, which is harmless: windows are chosen by position.
    rows = pd.concat([history, holdout])
    rows = rows.assign(error=errors, relative_error=relative, held_out=held)
    # Days of the holdout lie between those of the history.
    return rows.sort_values("event_at", kind="stable")


def _scale(contract: Contract, history: pd.DataFrame, holdout: pd.DataFrame) -> float:
    """Return the scale of residuals: on the holdout, or without one on the rows that were fitted."""
    rows = holdout if len(holdout) else history
    return scale_of(contract, *(rows[name].to_numpy(dtype=float) for name in (TARGET, PREDICTION)))


def _days(rows: pd.DataFrame) -> Days:
    """Return the days since the first row, shape (rows,)."""
    since = rows["event_at"] - rows["event_at"].min()
    return np.asarray(since.to_numpy() / np.timedelta64(1, "D"), dtype=np.float64)


def _consecutive(rows: int, size: int) -> list[Positions]:
    return [np.arange(start, start + size) for start in range(0, rows - size + 1, size)]


def _daily(days: Days, size: int, phase: float) -> list[Positions]:
    """Return windows of the last rows before the same time of every day, which share no rows."""
    windows, seen = [], 0
    for stop in np.searchsorted(days, np.arange(phase, days[-1])):
        if stop - size >= seen:
            windows.append(np.arange(stop - size, stop))
            seen = stop
    return windows


def _weekly(days: Days, size: int) -> list[Positions]:
    """Return windows thinned evenly out of whole weeks, which overlap: `tails` allows for that."""
    windows = []
    for begin in np.arange(0, days[-1] - WEEK_DAYS, WEEKS_BEGIN_DAYS):
        first, last = np.searchsorted(days, [begin, begin + WEEK_DAYS])
        if last - first >= size:
            windows.append(first + evenly(last - first, size))
    return windows


def _measured(
    contract: Contract,
    rows: pd.DataFrame,
    windows: list[Positions],
    reference: pd.DataFrame,
    features: tuple[str, ...],
    scale: float,
) -> Measured:
    moments, own = reference["event_at"], seasons(contract, columns_of(reference))
    found, spans = [], []
    for positions in windows:
        window = rows.iloc[positions]
        begin, end = window["event_at"].iloc[0], window["event_at"].iloc[-1]
        others = np.flatnonzero((moments < begin) | (moments > end))
        alike = others[matched(contract, own[others], seasons(contract, columns_of(window)))]
        found.append(compare(contract, reference.iloc[alike], window, (*features, PREDICTION)))
        spans.append(span_days(window["event_at"]))
    days, (relative, absolute, middles) = _days(rows), _errors(contract, rows, windows)
    return Measured(
        span_days=min(spans),
        every_days=float(days[windows[-1][0]] - days[windows[0][0]]) / (len(windows) - 1),
        held_out=float(rows["held_out"].mean()) or 1.0,
        scale=scale,
        distances={name: np.array([each[name] for each in found]) for name in (*features, PREDICTION)},
        relative=relative,
        absolute=absolute,
        days=middles,
    )


def _errors(contract: Contract, rows: pd.DataFrame, windows: list[Positions]) -> tuple[Series, Series, Series]:
    """Return the levels, the mean absolute errors and the middles of windows, in days since the first row."""
    days, (relative, errors) = _days(rows), (rows[name].to_numpy() for name in ("relative_error", "error"))
    return (
        np.array([level_of(contract, relative[positions]) for positions in windows]),
        np.array([np.abs(errors[positions]).mean() for positions in windows]),
        np.array([days[positions].mean() for positions in windows]),
    )


def _limits(measured: Measured, schedule: Schedule, drift: settings.Drift, contract: Contract) -> Limits:
    ordinary = Ordinary.of(schedule, measured.every_days, measured.span_days)
    budget = drift.false_alarms_per_year / len(FINDINGS)
    features = [name for name in measured.distances if name != PREDICTION]
    # `share` times the alarms are share ** alarms_needed times the incidents.
    budgets = {PREDICTION: budget} | {
        name: budget * ordinary.schedule.budget(share) for name, share in _shares(features, drift, contract).items()
    }
    return Limits(
        span_days=measured.span_days,
        windows=len(measured.relative),
        distances={
            name: ordinary.upper_bound_of_distances(series, budgets[name], noticed(contract, name))
            for name, series in measured.distances.items()
        },
        errors=performance.limits(
            measured.relative,
            measured.absolute,
            ordinary,
            budget,
            min(measured.held_out, measured.known.get(SIZE, 1.0)),
            measured.scale,
            measured.known.get(LEVEL, 1.0),
        ),
    )


def _shares(features: Sequence[str], drift: settings.Drift, contract: Contract) -> dict[str, float]:
    """Return by feature how often its windows may alarm, as a share of data drift's alarms."""
    members = Counter(contract.group_of(feature) for feature in features)
    return {
        feature: max(drift.threshold, 1 / len(members)) / members[contract.group_of(feature)] for feature in features
    }


def _widest(one: Limits, other: Limits) -> Limits:
    """Return the wider of both limits: at which hours of the day checks will come is unknown, so it holds at all."""
    distances = {name: max(limit, other.distances[name]) for name, limit in one.distances.items()}
    span_days, windows = min(one.span_days, other.span_days), max(one.windows, other.windows)
    return Limits(span_days, windows, distances, one.errors.beyond(other.errors))


def _no_wider(longer: Limits, shorter: Limits) -> Limits:
    """Return the narrower of both limits: a longer window varies less, but fewer of them calibrate it."""
    distances = {name: min(limit, shorter.distances[name]) for name, limit in longer.distances.items()}
    return Limits(longer.span_days, longer.windows, distances, longer.errors.within(shorter.errors))
