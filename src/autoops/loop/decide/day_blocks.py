"""Means of rows that come in days, with bootstrap intervals that hold for a handful of days.

Errors of one day share its weather and its traffic, so whole days are resampled and never rows. A percentile interval
of so few resampled days is too narrow: of two equally good models it declared one better in 9 % of simulated spans of
five days, and in 6 % of weeks, instead of 2.5 %. So the distances to both percentiles are widened by

    sqrt(k / (k - 1)) * t(k - 1) / z

with the quantiles t of Student's and z of the normal distribution, and k the effective number of days (Kish 1965: the
square of the sum of their rows over the sum of the squares), because a week in which one day holds most rows is less
than a week. `benchmarks/gate.py` measures the remaining error.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

MIN_DAYS = 5
FULL_DAY = 0.01
"""A day counts only if its rows exceed this share of the fullest day's: a few stray rows do not make a week."""
MIN_EFFECTIVE_DAYS = 3.0
"""With fewer days, or fewer effective days, the variation between days is unknown."""

SHARE_OF_NEXT_LOOK = 0.5
"""Share of an error probability that the next evaluation, of the same rows and more, gets."""

LONGEST_WAIT_DAYS = 90
"""A difference that takes longer to show is treated as none: by then there is a challenger from newer months."""

Rows = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """How rows are distributed over days; `effective_days` is Kish's effective number of days."""

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
    """The days of rows, with one set of bootstrap resamples for all means over these rows."""

    def __init__(self, days: npt.NDArray[np.int64], resamples: int) -> None:
        """Draw the resamples; `days` are the day numbers of the rows, shape (rows,), with at least one row."""
        _, self._day = np.unique(days, return_inverse=True)
        count = int(self._day.max()) + 1
        # A fixed seed: the same rows get the same verdict, in a retry and in a replay.
        draws = np.random.default_rng(0).integers(0, count, (resamples, count))
        # One bincount for all resamples: each has a range of `count` numbers of its own.
        places = (draws + count * np.arange(resamples)[:, None]).ravel()
        self._drawn = np.bincount(places, minlength=resamples * count).reshape(resamples, count)

    def spread(self, rows: Rows) -> Spread:
        """Return how the rows that `rows` selects, a mask of shape (rows,), are distributed over days."""
        counts = self._per_day(rows)
        return Spread(int(counts.sum()), full_days(counts), _effective(counts))

    def estimate(self, values: Values, rows: Rows, tail: float) -> Estimate:
        """Return the mean of `values` over `rows`, with its bounds.

        `values` and the mask `rows` have shape (rows,); the mask must select rows on more than one effective day. The
        resampled means are linearised (sum of residuals over all rows), so that a resample may lack every day on which
        a small segment occurs.
        """
        counts, sums = self._per_day(rows), self._per_day(rows, values)
        mean = sums.sum() / counts.sum()
        deviations = self._drawn @ ((sums - mean * counts) / counts.sum())
        below, above = np.quantile(deviations, [tail, 1 - tail]) * _widening(_effective(counts), tail)
        return Estimate(float(mean), float(mean + below), float(mean + above), tail, self.spread(rows))

    def _per_day(self, rows: Rows, values: Values | None = None) -> Values:
        weights = None if values is None else values[rows]
        return np.bincount(self._day[rows], weights, minlength=self._drawn.shape[1]).astype(np.float64)


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


def _effective(counts: Values) -> float:
    squares = float((counts**2).sum())
    return float(counts.sum()) ** 2 / squares if squares else 0.0


def _widening(effective_days: float, tail: float) -> float:
    corrected = np.sqrt(effective_days / (effective_days - 1))
    return float(corrected * t.ppf(1 - tail, effective_days - 1) / norm.ppf(1 - tail))
