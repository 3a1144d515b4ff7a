"""Upper bounds that chance alone allows an ordinary, autocorrelated series of windows.

A few hundred windows, of which one resembles the next, hold no empirical quantile far out. So the tail is taken as
normal, as far out as the schedule of checks allows and as the number of *independent* windows warrants: the yearly rate
of incidents is kept on the average of years and versions.
"""

from dataclasses import dataclass
from itertools import count, takewhile

import numpy as np
import numpy.typing as npt

from autoops.drift.schedule import DAYS_PER_YEAR, Schedule, Uncertainty

Series = npt.NDArray[np.float64]

FEWEST_WINDOWS = 3
"""Fewest windows from which a spread, and thereby a bound, is estimated."""

RECENT = 0.4
"""Weight of the newest window in the EWMA: half of the weight lies on the last one and a half."""

# A distance of 0 has no logarithm.
_SMALLEST_DISTANCE = 0.001
_BEYOND_ALL = 10.0
"""The logarithm of a distance that no window has: three windows that hardly resemble each other allow anything."""
_HIGHEST_CORRELATION = 0.95


@dataclass(frozen=True)
class Ordinary:
    """A year of checks applied to a series: windows judged one after the other lie `step` values apart in it."""

    schedule: Schedule
    step: int = 1

    @classmethod
    def of(cls, schedule: Schedule, every_days: float, window_days: float) -> "Ordinary":
        """Return the year of checks for a series with a value every `every_days`, each of a window of `window_days`.

        Windows of that length, which share no rows, follow no more often than one fills.
        """
        schedule = schedule.at_most(DAYS_PER_YEAR / max(every_days, window_days))
        # At least 1: `at_most` bounds the windows of a year by the values of the series.
        return cls(schedule, round(DAYS_PER_YEAR / schedule.windows_per_year / every_days))

    def upper_bound(self, series: Series, incidents_per_year: float, levelled: float = 1.0) -> float:
        """Return what ordinary values exceed so persistently that `incidents_per_year` incidents open.

        `series` is in time order, of shape (windows,), and has at least FEWEST_WINDOWS values; the share `levelled` of
        them estimates its mean.
        """
        for_mean, for_variance = independent(series)
        known = Uncertainty(for_mean * levelled, for_variance)
        reach = self.schedule.reach(incidents_per_year, self._correlations(series), known)
        return float(series.mean() + reach * _spread(series))

    def upper_bound_of_distances(self, series: Series, incidents_per_year: float, noticed: float = np.inf) -> float:
        """Return the same bound for distances, of which the logarithm is near normal.

        Beyond `noticed` it is the bound of the distances themselves where that is lower: a few windows of different
        seasons say nothing about so far a tail, and their logarithms would allow anything.
        """
        logarithms = np.log(np.maximum(series, _SMALLEST_DISTANCE))
        found = float(np.exp(min(self.upper_bound(logarithms, incidents_per_year), _BEYOND_ALL)))
        return found if found <= noticed else min(found, max(noticed, self.upper_bound(series, incidents_per_year)))

    def upper_bound_of_ewma(self, series: Series, incidents_per_year: float, levelled: float = 1.0) -> float:
        """Return the same bound for the series' `ewma`: an EWMA chart (Roberts 1959).

        Of a series that is autoregressive with correlation r the EWMA is so of second order, with roots r and 1 -
        RECENT; hence its variance and its correlations.
        """
        root, correlation = 1 - RECENT, self._correlations(series)[0]
        variance = RECENT / (2 - RECENT) * (1 + correlation * root) / (1 - correlation * root)
        # Yule-Walker for the AR(2): rho(1) = a / (1 - b), rho(k) = a rho(k - 1) + b rho(k - 2).
        alike = [1.0, (root + correlation) / (1 + root * correlation)]
        for _ in self.schedule.lags:
            alike.append((root + correlation) * alike[-1] - root * correlation * alike[-2])
        correlations = [alike[lag] for lag in self.schedule.lags]
        for_mean, for_variance = independent(series)
        known = Uncertainty(for_mean * levelled, for_variance)
        reach = self.schedule.reach(incidents_per_year, correlations, known, variance)
        return float(series.mean() + reach * _spread(series))

    def _correlations(self, series: Series) -> list[float]:
        # Below 0 `schedule` may take the root of a negative number, at 1 it may divide by zero.
        return [
            min(max(0.0, autocorrelation(series, lag * self.step)), _HIGHEST_CORRELATION) for lag in self.schedule.lags
        ]


def ewma(newest_first: list[float], mean: float) -> float:
    """Return the exponentially weighted moving average of a statistic over windows; it begins at the ordinary mean."""
    average = mean
    for value in reversed(newest_first):
        average += RECENT * (value - average)
    return average


def autocorrelation(series: Series, lag: int) -> float:
    """Return the autocorrelation at a lag, 0 where the series is too short to estimate it.

    An estimate is too low by (1 + 4 r) / n (Kendall 1954), which is added back.
    """
    deviations = series - series.mean()
    variance = float(deviations @ deviations)
    if lag >= len(series) // 2 or variance <= 0:
        return 0.0
    found = float(deviations[:-lag] @ deviations[lag:]) / variance
    return found + (1 + 4 * found) / len(series)


def independent(series: Series) -> tuple[float, float]:
    """Return how many independent values the series is worth for its mean, and for its variance.

    n / (1 + 2 sum r) and n / (1 + 2 sum r²) over the autocorrelations r up to the first that is not positive (Bayley
    and Hammersley 1946; Geyer 1992 for the cut), at least 2.
    """
    # The count ends by itself: from half of the series on, `autocorrelation` returns 0.
    alike = list(takewhile(lambda found: found > 0, (autocorrelation(series, lag) for lag in count(1))))
    linear, squared = sum(alike), sum(found**2 for found in alike)
    return max(2.0, len(series) / (1 + 2 * linear)), max(2.0, len(series) / (1 + 2 * squared))


def _spread(series: Series) -> float:
    """Return the standard deviation of single windows, corrected for what the estimated mean has taken away."""
    for_mean, _ = independent(series)
    # In place of n / (n - 1): the windows are worth `for_mean` independent ones, at least 2.
    return float(series.std() * np.sqrt(for_mean / (for_mean - 1)))
