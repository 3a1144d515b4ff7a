"""Means of rows that come in days, with intervals that allow for a handful of days that depend on each other.

Errors of one day share its weather and its traffic, so the day is the unit, and never the row. What makes a model
better on one day lasts into the next ones and returns with the weekday, so intervals from independent days contain the
difference of the month that follows too rarely. The days are taken as correlated by

    (1 - g) * r ** gap + g * [same weekday]        gap in days, also across days without rows

for each r of `PERSISTENCE` and g of `WEEKLY`. Given these, the residuals' weighted squares estimate the variance of the
mean without bias, with the degrees of freedom of Satterthwaite (1946), as Bell and McCaffrey (2002) use them for
clusters; with independent days of equal size that is Student's interval. A few days hardly say what r and g are, so the
interval is of the mixture of Student's distributions, each weighted by its prior weight times its marginal likelihood
(that of normal days, with mean and scale integrated out: Harville 1974).

`benchmarks/gate.py` measures how often such intervals err, also for the mean of the month that follows.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq
from scipy.stats import t

from autoops.cadence import FULL_DAY

MIN_DAYS = 5
MIN_EFFECTIVE_DAYS = 3.0
"""With fewer days, or fewer effective days, the variation between days is unknown."""

PERSISTENCE = {0.0: 0.6, 0.3: 0.3, 0.6: 0.1}
WEEKLY = {0.0: 0.9, 0.3: 0.1}
"""Prior weights of the correlation of neighbouring days, and of the share of variance that returns every week."""

SHARE_OF_NEXT_LOOK = 0.5
"""Share of an error probability that the next evaluation, of the same rows and more, gets."""

LONGEST_WAIT_DAYS = 90
"""A difference that takes longer to show is treated as none: by then there is a challenger from newer months."""

Rows = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """How rows are distributed over days; `effective_days` is Kish's effective number of days.

    That is the square of the sum of their rows over the sum of the squares (Kish 1965): a week in which one day holds
    most rows is less than a week.
    """

    rows: int
    days: int
    effective_days: float

    @property
    def says_how_days_differ(self) -> bool:
        """Return whether days and effective days suffice to estimate the variation between days."""
        return self.days >= MIN_DAYS and self.effective_days >= MIN_EFFECTIVE_DAYS


@dataclass(frozen=True)
class Estimate:
    """A mean with a bound on either side; each bound has an error probability of `tail`."""

    mean: float
    low: float
    high: float
    tail: float
    spread: Spread


class DayBlocks:
    """The days of rows, for all means over these rows."""

    def __init__(self, days: Days, *, cycle: int = 7) -> None:
        """Take the day numbers of the rows, shape (rows,), with at least one row; a pattern returns after `cycle`."""
        self._days, self._day = np.unique(days, return_inverse=True)
        self._cycle = cycle

    def spread(self, rows: Rows) -> Spread:
        """Return how the rows that `rows` selects, a mask of shape (rows,), are distributed over days."""
        return _spread(self._per_day(rows))

    def estimate(self, values: Values, rows: Rows, tail: float) -> Estimate:
        """Return the mean of `values` over `rows`, with its bounds.

        `values` and the mask `rows` have shape (rows,); the mask must select rows on more than one effective day.
        """
        counts, sums = self._per_day(rows), self._per_day(rows, values)
        return estimate_of_sums(self._days, counts, sums, tail, self._cycle)

    def _per_day(self, rows: Rows, values: Values | None = None) -> Values:
        weights = None if values is None else values[rows]
        return np.bincount(self._day[rows], weights, minlength=len(self._days)).astype(np.float64)


def estimate_of_sums(days: Days, counts: Values, sums: Values, tail: float, cycle: int = 7) -> Estimate:
    """Return the mean per row, with its bounds, from each day's number, number of rows and sum; shape (days,)."""
    kept = counts > 0
    days, counts, sums = days[kept], counts[kept], sums[kept]
    mean = sums.sum() / counts.sum()
    residuals = sums - mean * counts
    size = float(np.sqrt((residuals**2).sum()) / counts.sum())
    half = size and size * _half_width(days, counts, residuals / size, tail, cycle)
    return Estimate(float(mean), float(mean - half), float(mean + half), tail, _spread(counts))


def _half_width(days: Days, counts: Values, residuals: Values, tail: float, cycle: int) -> float:
    """Return the distance from the mean to its bound, in units of the root of the residuals' weighted squares."""
    share = counts / counts.sum()
    scales, freedom, evidence = [], [], []
    for (persistence, prior), (weekly, prior_weekly) in product(PERSISTENCE.items(), WEEKLY.items()):
        between = _correlation(days, persistence, weekly, cycle)
        with_mean = between @ share
        variance = float(share @ with_mean)
        # Correlation of the weighted residuals: a residual lacks what its day has in common with the mean.
        left = np.outer(share, share) * (between - with_mean[:, None] - with_mean + variance)
        scales.append(np.sqrt(variance / left.trace()))
        freedom.append(left.trace() ** 2 / (left**2).sum())
        # A day of few rows says little, so its residual counts for less.
        evidence.append(np.log(prior * prior_weekly) + _log_likelihood(residuals / np.sqrt(counts), between))
    weights = np.exp(np.array(evidence) - max(evidence))
    each = np.array(scales) * t.isf(tail, freedom)
    # Wider than each of them: far apart, days are independent whatever the persistence, and all widths the same.
    within = 0.9 * each.min(), 1.1 * each.max()
    return float(brentq(_excess, *within, (weights / weights.sum(), scales, freedom, tail)))


def _excess(width: float, weights: Values, scales: list[float], freedom: list[float], tail: float) -> float:
    return float(weights @ t.sf(width / np.array(scales), freedom)) - tail


def _correlation(days: Days, persistence: float, weekly: float, cycle: int) -> Values:
    gaps = np.abs(days[:, None] - days)
    return np.asarray((1 - weekly) * persistence ** gaps.astype(np.float64) + weekly * (gaps % cycle == 0))


def _log_likelihood(values: Values, correlation: Values) -> float:
    """Return the log likelihood of the correlation, up to a constant, with mean and scale integrated out."""
    factor = cho_factor(correlation)
    solved, ones = cho_solve(factor, values), cho_solve(factor, np.ones(len(values)))
    squares = values @ solved - solved.sum() ** 2 / ones.sum()
    # The product of the factor's diagonal is the root of the determinant.
    return float(
        -np.log(np.diag(factor[0])).sum()
        - np.log(ones.sum()) / 2
        - (len(values) - 1) / 2 * np.log(max(squares, 1e-300))
    )


def full_days(counts: Values) -> int:
    """Return how many days count as days, from the number of rows of each day."""
    return int((counts > FULL_DAY * counts.max(initial=0)).sum())


def further_days(estimate: Estimate, target: float = 0.0) -> int | None:
    """Return after how many more days like these the next evaluation's interval would exclude `target`.

    The mean is assumed to stay the same. None where it would take more than `LONGEST_WAIT_DAYS`.
    """
    distance = abs(estimate.mean - target)
    bound = estimate.high if estimate.mean < target else estimate.low
    more = np.arange(1, LONGEST_WAIT_DAYS + 1)
    effective, tail = estimate.spread.effective_days, estimate.tail
    then = effective * (1 + more / estimate.spread.days)
    narrowed = (
        np.sqrt(effective / then) * t.ppf(1 - tail * SHARE_OF_NEXT_LOOK, then - 1) / t.ppf(1 - tail, effective - 1)
    )
    excluding = more[abs(bound - estimate.mean) * narrowed < distance]
    return int(excluding[0]) if len(excluding) else None


def _spread(counts: Values) -> Spread:
    squares = float((counts**2).sum())
    effective = float(counts.sum()) ** 2 / squares if squares else 0.0
    return Spread(int(counts.sum()), full_days(counts), effective)
