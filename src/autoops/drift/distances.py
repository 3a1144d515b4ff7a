"""Distances between a window of trips and the reference: pure functions of arrays.

A thousand consecutive trips are half a day, and a Monday morning differs from a Saturday night. So a window is compared
with reference rows of the same hours of the week, which `matched` chooses. The drift page gets the same rows, and
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
"""Reference rows per row of a window; more do not reduce the noise of the reference's share any further."""

# Evidently's own floor, so that both distances agree where the reference is constant.
_SMALLEST_NORM = 0.001


def wasserstein(reference: Array, current: Array) -> float:
    """Return the first Wasserstein distance in standard deviations of the reference, as Evidently's `wasserstein`.

    Both arguments are samples of a number, of shape (rows,).
    """
    norm = max(float(np.std(reference)), _SMALLEST_NORM)
    return float(wasserstein_distance(reference, current)) / norm


def jensen_shannon(reference: Array, current: Array) -> float:
    """Return the Jensen-Shannon distance (natural logarithm) of two samples, as Evidently's `jensenshannon`.

    Both arguments are samples of categories, whole numbers from 0, of shape (rows,).
    """
    samples = [sample.astype(np.intp) for sample in (reference, current)]
    categories = max(int(sample.max()) for sample in samples) + 1
    # Counts suffice: SciPy divides them by their sums.
    return float(distance.jensenshannon(*(np.bincount(sample, minlength=categories) for sample in samples)))


def method(column: str) -> str:
    """Return the distance that suits a column, by the name that Evidently gives it."""
    return "jensenshannon" if column in CATEGORICAL else "wasserstein"


def distance_of(column: str, reference: Array, current: Array) -> float:
    """Return the distance of two samples of a column, by the method that suits it."""
    return (jensen_shannon if column in CATEGORICAL else wasserstein)(reference, current)


def compare(reference: pd.DataFrame, window: pd.DataFrame, columns: Iterable[str]) -> dict[str, float]:
    """Return the distance by column.

    Both frames have one row per trip; those of `reference` match the window.
    """
    return {name: distance_of(name, reference[name].to_numpy(), window[name].to_numpy()) for name in columns}


def evenly(rows: int, wanted: int) -> Positions:
    """Return `wanted` positions spread evenly over `rows`; each row once at most while `wanted <= rows`."""
    # The middles of `wanted` equal parts, so that neither end of the rows is preferred.
    return ((np.arange(wanted) + 0.5) * rows / wanted).astype(np.intp)


def matched(reference_hours: npt.NDArray[np.int64], current_hours: npt.NDArray[np.int64]) -> Positions:
    """Return positions of reference rows with the window's own mix of hours of the week, MULTIPLE per row of it.

    Both arguments are `features.hour_of_week` of each row, of shape (rows,). Within an hour the positions are spread
    evenly over the reference in its order, which is time: every week has its share, and nothing is random. An hour in
    which the reference has fewer rows than the window is joined by the hours around it.
    """
    # Stable: within an hour the rows stay in the order of the reference, which is time.
    order = np.argsort(reference_hours, kind="stable")
    ends = np.cumsum(np.bincount(reference_hours, minlength=HOURS_OF_WEEK))
    rows_of = np.split(order, ends[:-1])
    wanted = np.bincount(current_hours)
    chosen = []
    for hour in map(int, np.flatnonzero(wanted)):
        alike = _around(rows_of, hour, int(wanted[hour]))
        # Rows repeat where there are too few, because each hour must keep its share of the mix.
        chosen.append(alike[evenly(len(alike), wanted[hour] * MULTIPLE)])
    return np.sort(np.concatenate(chosen))


def _around(rows_of: list[Positions], hour: int, least: int) -> Positions:
    """Return the positions, ascending, of the rows of an hour, widened on both sides until there are `least` or all."""
    rows = rows_of[hour]
    for reach in range(1, HOURS_OF_WEEK // 2 + 1):
        if len(rows) >= least:
            break
        # A set, because half a week away both sides are the same hour.
        sides = {(hour - reach) % HOURS_OF_WEEK, (hour + reach) % HOURS_OF_WEEK}
        rows = np.sort(np.concatenate([rows, *(rows_of[side] for side in sides)]))
    return rows
