"""Distances between a window of rows and the reference: pure functions of arrays.

A window may cover half a day, and a Monday morning differs from a Saturday night. So where the use case declares a
seasonality, a window is compared with reference rows of the same hours or days of the week, which `matched` chooses.
The drift page gets the same rows, and computes the same distances.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import distance
from scipy.stats import wasserstein_distance

from autoops.usecase.calendar import calendar
from autoops.usecase.columns import EVENT_AT, Columns, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.derived import column

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.intp]

SEASONS = {"hour_of_week": 168, "day_of_week": 7, "none": 1}
"""Seasons of each seasonality, which follow each other in a circle."""
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

    Both arguments are samples of categories, of shape (rows,); a missing value is a category of its own.
    """
    _, codes = np.unique(_comparable(np.concatenate([reference, current])), return_inverse=True)
    categories = int(codes.max()) + 1
    samples = codes[: len(reference)], codes[len(reference) :]
    # Counts suffice: SciPy divides them by their sums.
    return float(distance.jensenshannon(*(np.bincount(sample, minlength=categories) for sample in samples)))


def _comparable(values: Array) -> Array:
    """Return values that NumPy can sort; None and strings have no order."""
    if values.dtype != object:
        return values
    return np.array(["\0" if value is None or value != value else str(value) for value in values.tolist()])


def method(contract: Contract, column: str) -> str:
    """Return the distance of a column, by the name that Evidently gives it."""
    return contract.distance_of(column).replace("_", "")


def distance_of(contract: Contract, column: str, reference: Array, current: Array) -> float:
    """Return the distance of two samples of a column, by the method that the contract gives it."""
    if contract.distance_of(column) == "jensen_shannon":
        return jensen_shannon(reference, current)
    # A missing value has no place on a number's scale.
    samples = (sample.astype(np.float64) for sample in (reference, current))
    return wasserstein(*(sample[~np.isnan(sample)] for sample in samples))


def compare(
    contract: Contract, reference: pd.DataFrame, window: pd.DataFrame, columns: Iterable[str]
) -> dict[str, float]:
    """Return the distance by column; the rows of `reference` match the window."""
    return {
        name: distance_of(contract, name, values_of(contract, name, reference), values_of(contract, name, window))
        for name in columns
    }


def values_of(contract: Contract, name: str, frame: pd.DataFrame) -> Array:
    """Return a column of the frame, or a derived feature of its rows; shape (rows,)."""
    return frame[name].to_numpy() if name in frame else column(contract, name, columns_of(frame))


def seasons(contract: Contract, rows: Columns) -> npt.NDArray[np.int64]:
    """Return the season of each row by the contract's seasonality, from 0; shape (rows,)."""
    event_at, seasonality = rows[EVENT_AT], contract.drift.seasonality
    if seasonality == "none":
        return np.zeros(len(event_at), dtype=np.int64)
    return calendar(seasonality, event_at, contract.zone)


def evenly(rows: int, wanted: int) -> Positions:
    """Return `wanted` positions spread evenly over `rows`; each row once at most while `wanted <= rows`."""
    # The middles of `wanted` equal parts, so that neither end of the rows is preferred.
    return ((np.arange(wanted) + 0.5) * rows / wanted).astype(np.intp)


def matched(contract: Contract, reference: npt.NDArray[np.int64], current: npt.NDArray[np.int64]) -> Positions:
    """Return positions of reference rows with the window's own mix of seasons, MULTIPLE per row of it.

    Both arrays are the `seasons` of each row, of shape (rows,). Within a season the positions are spread evenly over
    the reference in its order, which is time: every week has its share, and nothing is random. A season in which the
    reference has fewer rows than the window is joined by the seasons around it.
    """
    # Stable: within an hour the rows stay in the order of the reference, which is time.
    order = np.argsort(reference, kind="stable")
    ends = np.cumsum(np.bincount(reference, minlength=SEASONS[contract.drift.seasonality]))
    rows_of = np.split(order, ends[:-1])
    wanted = np.bincount(current)
    chosen = []
    for season in map(int, np.flatnonzero(wanted)):
        alike = _around(rows_of, season, int(wanted[season]))
        # Rows repeat where there are too few, because each hour must keep its share of the mix.
        chosen.append(alike[evenly(len(alike), wanted[season] * MULTIPLE)])
    return np.sort(np.concatenate(chosen))


def _around(rows_of: list[Positions], season: int, least: int) -> Positions:
    """Return the positions, ascending, of a season's rows, widened on both sides until there are `least` or all."""
    rows, seasons = rows_of[season], len(rows_of)
    for reach in range(1, seasons // 2 + 1):
        if len(rows) >= least:
            break
        # A set, because half a week away both sides are the same hour.
        sides = {(season - reach) % seasons, (season + reach) % seasons}
        rows = np.sort(np.concatenate([rows, *(rows_of[side] for side in sides)]))
    return rows
