"""Errors of a policy, and their differences to another's on the same rows, with the gate's intervals for days."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from autoops.backtest.simulation import SimulatedMonth
from autoops.loop.decide.day_blocks import estimate_of_sums
from autoops.settings import Gate

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Days:
    """Errors by day, arrays of shape (days,).

    `days` are day numbers, `minutes` sums of losses, such as minutes, and `rows` the day's rows, which are the same for
    every policy.
    """

    days: npt.NDArray[np.int64]
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
    return Days(
        simulations[0].days, simulations[0].rows, np.mean([simulated.minutes for simulated in simulations], axis=0)
    )


def difference(policy: Days, other: Days, gate: Gate) -> Interval:
    """Return the difference of the mean losses, policy − other.

    As in the gate, errors are compared in pairs, and days may depend on each other. The interval, at
    `gate.confidence`, is for months like these.
    """
    return _interval(policy.mae - other.mae, policy, _saved(policy, other), gate)


def degradation_avoided(policy: Days, frozen: Days, gated: Days, gate: Gate) -> Interval | None:
    """Return the share of the degradation that the policy avoided, None where there was none to avoid.

    Degradation is what keeping version 1 cost against monthly retraining with the gate. There was none to avoid where
    that cost is not above zero beyond chance.
    """
    if not difference(frozen, gated, gate).low > 0:
        return None
    costs = frozen.mae - gated.mae
    share = (frozen.mae - policy.mae) / costs
    # A ratio of means varies as the mean of these does (delta method); the test above keeps costs away from zero.
    return _interval(share, policy, (_saved(frozen, policy) - share * _saved(frozen, gated)) / costs, gate)


def _saved(first: Days, second: Days) -> Array:
    if not (np.array_equal(first.rows, second.rows) and np.array_equal(first.days, second.days)):
        raise ValueError("policies are compared on the same rows only")
    return first.minutes - second.minutes


def _interval(estimate: float, days: Days, sums: Array, gate: Gate) -> Interval:
    found = estimate_of_sums(days.days, days.rows, sums, (1 - gate.confidence) / 2)
    half = found.high - found.mean
    return Interval(float(estimate), float(estimate - half), float(estimate + half))


def days_of(months: Sequence[SimulatedMonth]) -> Days:
    """Return the errors of a simulation's months, by day."""
    errors = [month["errors"] for month in months]
    return Days(
        np.concatenate([np.array(one["days"], dtype=np.int64) for one in errors]),
        np.concatenate([np.array(one["rows"], dtype=float) for one in errors]),
        np.concatenate([np.array(one["minutes"], dtype=float) for one in errors]),
    )
