"""Motion: did the level of a history's windows move, in steps or along lines, and where is it now?

Levels are averaged over blocks of whole weeks, so that hours and weekdays cancel out and days that resemble their
neighbours hardly count. Steps and lines with few breaks are fitted to these means (Bai and Perron 1998) and compared
with one constant by the criterion of Schwarz (1978). By how much a path must be better is simulated for means of a
steady level that correlate by ALIKE. A single week apart from all others, such as one of holidays, is no motion.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise, product

import numpy as np
from scipy.linalg import block_diag

from autoops.drift.tails import Series

ALIKE = 0.3
"""Correlation of neighbouring weeks in a steady world. Where half of a day's shock is left a day later, it is 0.12."""
FALSELY = 0.01
"""Share of steady histories that seem to move."""

BLOCK_DAYS = 7.0
FEWEST_BLOCKS, MOST_BLOCKS, MOST_BREAKS = 6, 26, 2

Model = tuple[int, tuple[int, ...], Series]
"""Degree (0 for steps, 1 for lines), the blocks that begin a segment, and an orthonormal basis, (blocks, columns)."""


@dataclass(frozen=True)
class Path:
    """The moving level of windows in event time: a polynomial for each segment between days.

    `newest` is the level at the end. As many windows estimate it as are the share `known` of all. `widening` makes up
    for the part of the windows' differences that the path has followed.
    """

    breaks_at: Series
    segments: tuple[Series, ...]
    newest: float
    known: float
    widening: float

    def steadied(self, series: Series, days: Series, span_days: float) -> Series:
        """Return the series as it would be had its level always been the newest.

        Its windows span so many days around `days`, which are those since the first row; shapes are (windows,).
        """
        # A window on both sides of a break has a part of each level.
        within = days[:, None] + span_days * np.linspace(-0.5, 0.5, 8)
        levels = np.choose(np.searchsorted(self.breaks_at, within), [np.polyval(one, within) for one in self.segments])
        off = series - levels.mean(axis=1)
        return np.asarray(self.newest + off.mean() + self.widening * (off - off.mean()))


def path_of(series: Series, days: Series) -> Path | None:
    """Return the path of the level; None where it may be steady, or the history is too short to tell.

    `series` and the windows' middles `days` are in time order, of shape (windows,).
    """
    times, means = _blocks(series, days)
    count = len(means)
    if count < FEWEST_BLOCKS or not np.ptp(means):
        return None
    gains = _gains(means[:, None])[:, 0]
    if gains.max() < _least_gain(count):
        return None
    degree, breaks, basis = _models(count)[int(gains.argmax())]
    ends = [0, *(int(np.searchsorted(days, times[at - 1 : at + 1].mean())) for at in breaks), len(days)]
    for number, at in enumerate(breaks, start=1):
        # A block may lie on both sides of the break: the windows near it say more.
        near = np.arange(*np.searchsorted(days, times[at - 1 : at + 1] + np.diff(times[at - 1 : at + 1]) * [-0.5, 0.5]))
        near = near[(near > ends[number - 1] + degree + 1) & (near < ends[number + 1] - degree - 1)]
        tried = [[*ends[:number], int(one), *ends[number + 1 :]] for one in near[:: 1 + len(near) // 100]]
        ends = min(tried, key=lambda one: sum((series - _fitted(series, days, one, degree)[1]) ** 2), default=ends)
    segments, _ = _fitted(series, days, ends, degree)
    # The variance of the level at the end, in those of a window.
    off = days[ends[-2] :] - days[-1]
    leverage = 1 / len(off) + (off.mean() ** 2 / ((off - off.mean()) ** 2).sum() if degree else 0.0)
    return Path(
        np.array([days[at - 1 : at + 1].mean() for at in ends[1:-1]]),
        segments,
        newest=float(np.polyval(segments[-1], days[-1])),
        known=float(min(1.0, 1 / (leverage * len(days)))),
        widening=float(np.sqrt(count / (count - basis.shape[1] - len(breaks)))),
    )


def _fitted(series: Series, days: Series, ends: list[int], degree: int) -> tuple[tuple[Series, ...], Series]:
    """Return the polynomials of least squares between positions, and their values, of shape (windows,)."""
    parts = [slice(*part) for part in pairwise(ends)]
    found = tuple(np.polyfit(days[part], series[part], degree) for part in parts)
    return found, np.concatenate([np.polyval(one, days[part]) for one, part in zip(found, parts, strict=True)])


def _blocks(series: Series, days: Series) -> tuple[Series, Series]:
    """Return the mean time and the mean level of blocks of whole weeks, counted back from the end."""
    weeks = max((days[-1] - days[0]) / MOST_BLOCKS, float(np.diff(days).max())) / BLOCK_DAYS
    number = ((days[-1] - days) // (BLOCK_DAYS * max(1.0, np.ceil(weeks)))).astype(int)
    # The oldest block may be cut off.
    kept = [number == block for block in np.unique(number)[::-1] if 2 * (number == block).sum() >= (number == 0).sum()]
    times, means = (np.array([values[block].mean() for block in kept]) for values in (days, series))
    return times, means


@lru_cache
def _models(count: int) -> tuple[Model, ...]:
    """Return the paths of so many blocks, without the constant one."""
    found = []
    for degree, some in product((0, 1), range(MOST_BREAKS + 1)):
        parameters = (degree + 1) * (some + 1) + some
        for breaks in combinations(range(count), some) if 1 < parameters < count / 2 + 1 else ():
            sizes = np.diff((0, *breaks, count))
            if sizes.min() >= degree + 2:
                columns = block_diag(*(np.vander(np.arange(size), degree + 1) for size in sizes))
                found.append((degree, breaks, np.linalg.qr(columns)[0]))
    return tuple(found)


def _gains(means: Series) -> Series:
    """Return by how much each path is better than a constant, of shape (paths, series); `means` is (blocks, series)."""
    count, off = len(means), means - means.mean(axis=0)
    total, gains = (off**2).sum(axis=0), []
    for _, breaks, basis in _models(count):
        left = np.maximum(total - ((basis.T @ off) ** 2).sum(axis=0), 1e-12 * total)
        # A break is a parameter, too.
        gains.append(count * np.log(total / left) - (basis.shape[1] + len(breaks) - 1) * np.log(count))
    return np.array(gains)


@lru_cache
def _least_gain(count: int) -> float:
    """Return the gain of the best path that FALSELY of steady levels, whose means correlate by ALIKE, exceed."""
    means = np.random.default_rng(count).normal(size=(count, 4_000))
    for earlier, later in pairwise(means):
        later *= np.sqrt(1 - ALIKE**2)
        later += ALIKE * earlier
    return float(np.quantile(_gains(means).max(axis=0), 1 - FALSELY))
