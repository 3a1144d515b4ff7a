"""Detectable change: the smallest lasting change of errors that opens an incident in time, by alarm type.

The change is added to the calibration windows, which are judged as checks would judge them, a run from each of them on.
It is detectable where the share FOUND of these runs opens an incident of the alarm type in time.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from autoops import settings
from autoops.drift import performance
from autoops.drift.calibration import History
from autoops.drift.performance import ABOVE, BELOW, EWMA_ABOVE, EWMA_BELOW, LARGER, ErrorLimits
from autoops.drift.schedule import DAYS_PER_YEAR, Schedule
from autoops.drift.tails import RECENT, Ordinary, Series
from autoops.drift.thresholds import WEEK_DAYS, Thresholds
from autoops.models.bundle import Detectable
from autoops.usecase.columns import PREDICTION, TARGET
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import loss_unit, losses

FOUND = 0.8
"""Share of runs that open an incident in time."""

TWO_WINDOWS, A_WEEK = "two windows", "a week"
BEFORE = 5
"""Ordinary windows before the change, which the EWMA contains."""

CHANGES = np.geomspace(0.002, 3, 300)
SIDES = ((ABOVE, EWMA_ABOVE), (BELOW, EWMA_BELOW))


def detectable(
    history: History, thresholds: Thresholds, holdout: pd.DataFrame, contract: Contract, drift: settings.Drift
) -> tuple[Detectable, ...]:
    """Return the smallest change by alarm type and time; nothing without limits or rows of the `holdout`."""
    if not thresholds.limits or holdout.empty:
        return ()
    # Months are judged in parts that are longer than a week.
    measured = (history.weekly if drift.source == "months" and history.weekly else history.short)[0]
    limits = thresholds.for_span(measured.span_days).errors
    schedule = Schedule(thresholds.windows_per_year, drift.alarms_needed, drift.alarms_of)
    ordinary = Ordinary.of(schedule, measured.every_days, measured.span_days)
    a_week = int(ordinary.schedule.windows_per_year * WEEK_DAYS / DAYS_PER_YEAR)
    series = {name: -measured.relative if name in SIDES[1] else measured.relative for name in performance.FINDINGS}
    # Larger errors grow by a factor.
    series[LARGER] = np.log(np.maximum(measured.absolute, np.finfo(float).tiny))
    found = []
    for name, values in series.items():
        for within, windows in ((TWO_WINDOWS, 2), (A_WEEK, a_week)):
            # In a circle, so that each window begins a run.
            run = np.arange(len(values))[:, None] + ordinary.step * np.arange(-BEFORE, windows)
            runs = values[run % len(values)]
            sizes = (size for size in CHANGES if _opened(runs, size, name, limits, drift) >= FOUND)
            found.append(_told(name, within, next(sizes, None), holdout, contract, limits.scale))
    return tuple(found)


def _opened(runs: Series, change: float, finding: str, limits: ErrorLimits, drift: settings.Drift) -> float:
    """Return the share of runs in which the windows after the change open an incident.

    `runs` has the shape (runs, BEFORE + windows), and is ordinary.
    """
    low, high, mean, recent = limits.relative_low, limits.relative_high, limits.relative_mean, limits.recent_high
    if finding in SIDES[1]:
        low, high, mean, recent = -high, -low, -mean, -limits.recent_low
    values = runs.copy()
    values[:, BEFORE:] += change
    if finding == LARGER:
        high = np.log(limits.absolute_high)
    if finding in (EWMA_ABOVE, EWMA_BELOW):
        average = np.full(len(values), mean)
        for column in values.T:
            # As a check averages: earlier windows are cut at the bounds of single ones.
            cut = np.clip(column, low, high) - column
            average += RECENT * (column - average)
            column[:], average = average, average + RECENT * cut
        high = recent
    counts = np.cumsum((values[:, BEFORE:] >= high).astype(int), axis=1)
    counts[:, drift.alarms_of :] -= counts[:, : -drift.alarms_of].copy()
    return float((counts >= drift.alarms_needed).any(axis=1).mean())


def _told(
    finding: str, within: str, change: float | None, holdout: pd.DataFrame, contract: Contract, scale: float
) -> Detectable:
    if change is None:
        return Detectable(finding, within, None, None, None)
    truth, prediction = (holdout[name].to_numpy(dtype=np.float64) for name in (TARGET, PREDICTION))
    loss = float(losses(contract, truth, prediction).mean())
    if finding == LARGER:
        cost = float(np.expm1(change)) * loss
    else:
        level = performance.level_of(contract, performance.levels(contract, truth, prediction, scale))
        by = level - change if finding in SIDES[0] else level + change
        off, without_bias = (_moved(contract, prediction, each, scale) for each in (by, level))
        cost = float((losses(contract, truth, off) - losses(contract, truth, without_bias)).mean())
    return Detectable(finding, within, float(change), cost, cost / loss if loss > 0 else None)


def _moved(contract: Contract, prediction: Series, level: float, scale: float) -> Series:
    if contract.task == "binary":
        return np.clip(prediction + level, 0, 1)
    return np.asarray(prediction * np.exp(level) if performance.is_ratio(contract) else prediction + level * scale)


def summary(found: Sequence[Detectable], contract: Contract, drift: settings.Drift) -> dict[str, float | str | None]:
    """Return what the costliest change costs that may stay unseen, as a `share` and `told`, and if it is `too_large`.

    It is that of the direction of which less is found, by the better alarm type, within a week, or within two windows
    where a week has too few. The result is empty where nothing is known.
    """
    within = A_WEEK if any(one.change is not None and one.within == A_WEEK for one in found) else TWO_WINDOWS
    sides = [[one for one in found if one.detector in side and one.within == within] for side in SIDES]
    least = max((min(side, key=_share) for side in sides if side), key=_share, default=None)
    if least is None:
        return {}
    told = f"No lasting change of the level of errors opens an incident within {within}, however large."
    if least.loss is not None:
        cost = f"{least.loss:.3f}{loss_unit(contract)} ({_share(least):.1%} of the loss)"
        told = f"A lasting change that costs {cost} opens an incident within {within} in {FOUND:.0%} of cases."
    return {"share": least.share, "told": told, "too_large": _share(least) > drift.worth_noticing}


def _share(one: Detectable) -> float:
    return np.inf if one.share is None else one.share


def figures_of(found: Sequence[Detectable]) -> dict[str, float]:
    """Return the costs as metrics of a training run, without those of changes that are never found."""
    costs = {f"detectable loss {one.detector} {one.within}": one.loss for one in found}
    costs |= {f"detectable share {one.detector} {one.within}": one.share for one in found}
    return {re.sub(r"\W+", "_", name): cost for name, cost in costs.items() if cost is not None}
