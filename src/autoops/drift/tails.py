"""What chance alone allows: upper bounds of an ordinary, autocorrelated series of windows.

A few hundred windows, of which one resembles the next, hold no empirical quantile of one in a thousand. So the tail is
a normal one, as far out as the number of *independent* windows warrants: a one-sided tolerance bound, so that not the
average version but nine versions of ten keep to the configured rate.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import nct, norm

Series = npt.NDArray[np.float64]

FEWEST_WINDOWS = 3
"""Below this there is no spread to speak of, and no bound."""

CONFIDENCE = 0.9
"""That the bound is not exceeded more often than its rate."""

_SMALLEST_DISTANCE = 0.001


def independent(series: Series) -> tuple[float, float]:
    """How many independent values the series is worth for its mean, and for its variance.

    n / (1 + 2 sum r) and n / (1 + 2 sum r²) over the autocorrelations r up to the first that is not positive
    (Bayley and Hammersley 1946; Geyer 1992 for the cut), at least 2. An estimate of r is too low by (1 + 4 r) / n
    (Kendall 1954), which is put back.
    """
    count = len(series)
    deviations = series - series.mean()
    variance = float(deviations @ deviations)
    linear = squared = 0.0
    for lag in range(1, count // 2):
        correlation = float(deviations[:-lag] @ deviations[lag:]) / variance if variance > 0 else 0.0
        correlation += (1 + 4 * correlation) / count
        if correlation <= 0:
            break
        linear += correlation
        squared += correlation**2
    return max(2.0, count / (1 + 2 * linear)), max(2.0, count / (1 + 2 * squared))


def upper_bound(series: Series, rate: float) -> float:
    """What ordinary values exceed at most with probability `rate`, with CONFIDENCE; never below the empirical
    quantile, which for small rates is the largest value seen.

    mean + k s with k from the noncentral t (Hahn and Meeker 1991, section 4.6.3). `series` is in time order and has
    at least FEWEST_WINDOWS values.
    """
    for_mean, for_variance = independent(series)
    root = np.sqrt(for_mean)
    reach = nct.ppf(CONFIDENCE, for_variance - 1, norm.ppf(1 - rate) * root) / root
    spread = series.std() * np.sqrt(for_mean / (for_mean - 1))
    seen = np.quantile(series, 1 - rate, method="higher")
    return float(max(series.mean() + reach * spread, seen))


def upper_bound_of_distances(series: Series, rate: float) -> float:
    """The same for distances, of which the logarithm is near normal."""
    return float(np.exp(upper_bound(np.log(np.maximum(series, _SMALLEST_DISTANCE)), rate)))
