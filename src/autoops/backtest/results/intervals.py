"""Errors of a policy, and their differences to another's on the same trips, with intervals from resampled days."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from autoops.backtest.simulation import SimulatedMonth
from autoops.settings import Gate

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Days:
    """Errors by day, arrays of shape (days,).

    `minutes` are sums of losses, of the taxi minutes, and `rows` the day's rows, which are the same for every policy.
    """

    rows: Array
    minutes: Array

    @property
    def mae(self) -> float:
        """Return the mean loss."""
        return float(self.minutes.sum() / self.rows.sum())


class IntervalRecord(TypedDict):
    """An interval as JSON."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its confidence interval."""

    estimate: float
    low: float
    high: float

    def to_json(self) -> IntervalRecord:
        """Return the interval as JSON."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}


def averaged(simulations: Sequence[Days]) -> Days:
    """Return the mean errors of several simulations over the same rows: the errors to expect of one of them."""
    return Days(simulations[0].rows, np.mean([simulated.minutes for simulated in simulations], axis=0))


def difference(policy: Days, other: Days, gate: Gate) -> Interval:
    """Return the difference of the mean losses, policy − other.

    As in the gate, errors are compared in pairs, and whole days are resampled. The interval is the percentile
    bootstrap's at `gate.confidence`.
    """
    draws = _draws(policy, gate)
    return _interval(policy.mae - other.mae, _means(policy, other, draws), gate)


def degradation_avoided(policy: Days, frozen: Days, gated: Days, gate: Gate) -> Interval | None:
    """Return the share of the degradation that the policy avoided, None where there was none to avoid.

    Degradation is what keeping version 1 cost against monthly retraining with the gate. There was none to avoid where
    that cost is not above zero beyond chance.
    """
    draws = _draws(policy, gate)
    costs = _means(frozen, gated, draws)
    if not _interval(frozen.mae - gated.mae, costs, gate).low > 0:
        return None
    saved = _means(frozen, policy, draws)
    estimate = (frozen.mae - policy.mae) / (frozen.mae - gated.mae)
    # Both from the same draws, so that the ratio is resampled as a whole. The test above also keeps
    # nearly all of its denominators positive.
    return _interval(estimate, saved / costs, gate)


def _draws(days: Days, gate: Gate) -> npt.NDArray[np.int64]:
    # One seed: every policy is resampled by the same days, and a result is reproducible.
    return np.random.default_rng(0).integers(0, len(days.rows), (gate.resamples, len(days.rows)))


def _means(first: Days, second: Days, draws: npt.NDArray[np.int64]) -> Array:
    if not np.array_equal(first.rows, second.rows):
        raise ValueError("policies are compared on the same rows only")
    sums: Array = (first.minutes - second.minutes)[draws].sum(axis=1)
    # A ratio of sums, so that each row has the same weight, not each day.
    return np.asarray(sums / first.rows[draws].sum(axis=1))


def _interval(estimate: float, resampled: Array, gate: Gate) -> Interval:
    tail = (1 - gate.confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(estimate), float(low), float(high))


def days_of(months: Sequence[SimulatedMonth]) -> Days:
    """Return the errors of a simulation's months, by day."""
    rows = [count for month in months for count in month["errors"]["rows"]]
    minutes = [total for month in months for total in month["errors"]["minutes"]]
    return Days(np.array(rows, dtype=float), np.array(minutes, dtype=float))
