"""How far a window of trips is from the reference: pure functions of arrays.

A thousand consecutive trips are half a day, and a Monday morning is no Saturday night. So a window is compared with
reference rows of the same hours of the week, drawn by `matched`; the drift page is given the very same rows, and
computes the same distances.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import distance
from scipy.stats import wasserstein_distance

from autoops.features import CATEGORICAL

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.intp]

HOURS_OF_WEEK = 168
MULTIPLE = 5
"""Reference rows per row of a window: more narrow the noise of the reference's share no further."""

_SMALLEST_NORM = 0.001


def wasserstein(reference: Array, current: Array) -> float:
    """First Wasserstein distance in standard deviations of the reference, as Evidently's `wasserstein`."""
    norm = max(float(np.std(reference)), _SMALLEST_NORM)
    return float(wasserstein_distance(reference, current)) / norm


def jensen_shannon(reference: Array, current: Array) -> float:
    """Jensen-Shannon distance (natural logarithm) of two samples of categories, as Evidently's `jensenshannon`."""
    categories, codes = np.unique(np.concatenate([reference, current]), return_inverse=True)
    shares = [np.bincount(part, minlength=len(categories)) / len(part) for part in np.split(codes, [len(reference)])]
    return float(distance.jensenshannon(*shares))


def method(column: str) -> str:
    """The distance that suits a column, by the name Evidently gives it."""
    return "jensenshannon" if column in CATEGORICAL else "wasserstein"


def distance_of(column: str, reference: Array, current: Array) -> float:
    return (jensen_shannon if column in CATEGORICAL else wasserstein)(reference, current)


def compare(reference: pd.DataFrame, window: pd.DataFrame, columns: Iterable[str]) -> dict[str, float]:
    """Distance by column; `reference` are the rows that match the window."""
    return {name: distance_of(name, reference[name].to_numpy(), window[name].to_numpy()) for name in columns}


def evenly(rows: int, wanted: int) -> Positions:
    """`wanted` positions spread evenly over `rows`; each row once at most while `wanted <= rows`."""
    return ((np.arange(wanted) + 0.5) * rows / wanted).astype(np.intp)


def matched(reference_hours: npt.NDArray[np.int64], current_hours: npt.NDArray[np.int64]) -> Positions:
    """Positions of reference rows with the window's own mix of hours of the week, MULTIPLE per row of it.

    Within an hour they are spread evenly over the reference in its order, which is time: every week of it has its
    share, and nothing is left to chance. An hour that the reference lacks is served by the nearest one that it has;
    an hour with too few rows gives them more than once. Both arguments: `features.hour_of_week` of each row.
    """
    order = np.argsort(reference_hours, kind="stable")
    sizes = np.bincount(reference_hours, minlength=HOURS_OF_WEEK)
    starts = np.cumsum(sizes) - sizes
    wanted = np.bincount(current_hours, minlength=HOURS_OF_WEEK)
    present = np.flatnonzero(sizes)
    chosen = []
    for hour in np.flatnonzero(wanted):
        apart = np.abs(present - hour)
        cell = present[np.argmin(np.minimum(apart, HOURS_OF_WEEK - apart))]
        chosen.append(order[starts[cell] + evenly(sizes[cell], wanted[hour] * MULTIPLE)])
    return np.sort(np.concatenate(chosen))
