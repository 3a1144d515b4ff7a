"""A year of checks: how many windows are judged, and how many alarms open an incident.

People act on incidents, and an incident takes k alarms of one type among the last m windows. So a single window may
alarm far more often than an incident may open. How often depends on the correlation between windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, comb

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from autoops import settings

DAYS_PER_YEAR = 365.25
WINDOW_A_DAY = DAYS_PER_YEAR
"""Schedules with fewer windows a year than this get the limits of this many.

With narrower limits one in five windows would alarm, and people would not believe the next alarm.
"""

MONTHS_SOURCE_WINDOWS = 36
"""Windows a year of published months, each of which is judged in three period sub-windows."""

_SECONDS_PER_YEAR = DAYS_PER_YEAR * 86_400
_FARTHEST = 1e6
"""Largest distance in standard deviations, of no use to any window.

Where hardly two windows estimate a variance, no distance is far enough for rare incidents.
"""

_SHARED, _SHARED_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
_ROOTS, _ROOT_WEIGHTS = np.polynomial.legendre.leggauss(40)
_ROOTS = (_ROOTS + 1) / 2
"""Square roots of the quantiles at which the estimated variance is evaluated.

Most of them are low, because underestimated variances open incidents.
"""


@dataclass(frozen=True)
class Uncertainty:
    """How many independent windows stand behind an estimated mean, and behind an estimated variance."""

    for_mean: float
    for_variance: float


@dataclass(frozen=True)
class Schedule:
    """The windows judged in a year; `needed` alarms among the last `of` windows open an incident."""

    windows_per_year: float
    needed: int
    of: int

    @classmethod
    def expected(cls, drift: settings.Drift, rows_per_year: float) -> "Schedule":
        """Return the schedule that the settings lead to.

        Windows share no rows, and a check judges one window at most: a window takes as many checks as it takes to fill
        it.
        """
        checks = _SECONDS_PER_YEAR / drift.check_interval_s
        windows = checks / ceil(drift.window_size * checks / rows_per_year)
        if drift.source == "months":
            windows = MONTHS_SOURCE_WINDOWS
        return cls(windows, drift.alarms_needed, drift.alarms_of)

    def skips(self, rows_per_year: float, size: int) -> bool:
        """Return whether checks come too seldom for all rows, so that they always see the same hours of a day."""
        filled = rows_per_year / size
        # A window of a day or longer contains every hour, however few windows are judged.
        return filled > DAYS_PER_YEAR and self.windows_per_year < 0.9 * filled

    def at_most(self, windows_per_year: float) -> "Schedule":
        """Return the schedule limited to so many windows a year; `needed` and `of` stay the same."""
        return Schedule(min(self.windows_per_year, windows_per_year), self.needed, self.of)

    @property
    def lags(self) -> range:
        """Return the lags between two windows of which both may count towards one incident."""
        # Never empty: with `of` = 1 the correlation has no effect, but a mean needs a value.
        return range(1, max(2, self.of))

    def budget(self, share: float) -> float:
        """Return the share of an incident's probability that leaves `share` of that of each of its alarms."""
        return float(share**self.needed)

    def reach(
        self, incidents_per_year: float, correlations: Sequence[float], known: Uncertainty, variance: float = 1.0
    ) -> float:
        """Return the standard deviations above the mean beyond which windows open `incidents_per_year` incidents.

        The rate holds on the average of all versions whose mean and deviation were estimated from as much history.
        `correlations` are those at `lags`; `variance` is that of the statistic, in variances of a single window. An
        incident is counted wherever a window and needed - 1 of the of - 1 before it are beyond. This counts too many,
        as incidents come in clusters and the cool-down keeps them apart, so that the rate is an upper bound.
        """
        ways = max(self.windows_per_year, WINDOW_A_DAY) * comb(self.of - 1, self.needed - 1)

        def surplus(distance: float) -> float:
            # The alarms may lie at any of these lags; the mean takes each as equally likely.
            together = [_all_beyond(distance, self.needed, each, known, variance) for each in correlations]
            return ways * float(np.mean(together)) - incidents_per_year

        # brentq needs a change of sign, and a budget this large leaves none.
        if surplus(0.0) <= 0:
            return 0.0
        return _FARTHEST if surplus(_FARTHEST) > 0 else float(brentq(surplus, 0.0, _FARTHEST, xtol=1e-4))


@lru_cache
def _estimated(windows: float) -> npt.NDArray[np.float64]:
    """Return the estimated deviation, in true ones, at each of `_ROOTS`; a search asks for the same some 60 times."""
    return np.asarray(np.sqrt(chi2.ppf(_ROOTS**2, windows - 1) / (windows - 1)))


def _all_beyond(distance: float, count: int, correlation: float, known: Uncertainty, variance: float) -> float:
    """Return the probability that `count` windows all exceed the estimated mean by `distance` estimated deviations.

    Deviations from the estimated mean are normal, and share that mean's error besides their own correlation; given what
    they share they are independent (Dunnett and Sobel 1955). The estimated variance is a chi-squared one.
    """
    off_centre = 1 / known.for_mean
    total = variance + off_centre
    shared = (correlation * variance + off_centre) / total
    limit: npt.NDArray[np.float64] = distance * _estimated(known.for_variance)[:, None] / np.sqrt(total)
    beyond = norm.sf((limit - np.sqrt(shared) * _SHARED) / np.sqrt(1 - shared)) ** count
    # The weights of probabilists' Hermite quadrature sum to sqrt(2 pi), not to 1.
    given_variance = beyond @ _SHARED_WEIGHTS / _SHARED_WEIGHTS.sum()
    # The integral over quantiles q = r * r: dq is 2 r dr, and the weights are for -1 to 1, which is
    # twice the length of 0 to 1.
    return float(given_variance @ (_ROOT_WEIGHTS * _ROOTS))
