"""Is the challenger demonstrably better? A pure function from paired errors to a verdict."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from autoops.settings import Gate

MIN_DAYS = 5
"""A bootstrap over fewer blocks than this says nothing about how days differ."""

GateDecision = Literal["promote", "reject", "inconclusive"]

_WORDING: dict[GateDecision, str] = {
    "promote": "better than the {} beyond chance",
    "reject": "worse than the {} beyond chance",
    "inconclusive": "not distinguishable from the {}",
}


@dataclass(frozen=True)
class GateVerdict:
    """`difference` is challenger − champion in mean absolute error, minutes; `low` and `high` bound it.
    All figures are None when nothing could be compared."""

    decision: GateDecision
    reason: str
    rows: int
    days: int
    champion_mae: float | None = None
    challenger_mae: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    champion_errors: npt.NDArray[np.float64],
    challenger_errors: npt.NDArray[np.float64],
    days: npt.NDArray[Any],
    gate: Gate,
    *,
    against: str = "champion",
) -> GateVerdict:
    """Compares absolute errors (minutes) of both models on the same rows, all of them unseen by either.

    `days` names each row's day: whole days are resampled (paired block bootstrap, percentile interval), because
    errors of one day share its weather and its traffic. `against` names the reference in the reason.
    """
    rows, blocks = len(days), len(np.unique(days))
    if rows == 0:
        return GateVerdict("inconclusive", "holdout seen: no row is newer than both models' training", 0, 0)
    if rows < gate.min_rows or blocks < MIN_DAYS:
        reason = f"{rows} unseen rows of {blocks} days, needed are {gate.min_rows} rows of {MIN_DAYS} days"
        return GateVerdict("inconclusive", reason, rows, blocks)

    difference = challenger_errors - champion_errors
    low, high = _interval(difference, days, gate)
    decision: GateDecision = "promote" if high < 0 else "reject" if low > 0 else "inconclusive"
    mean = float(difference.mean())
    return GateVerdict(
        decision,
        f"{_WORDING[decision].format(against)}: {mean:+.3f} min of absolute error, {gate.confidence:.0%} interval "
        f"{low:+.3f} to {high:+.3f}, on {rows} unseen rows of {blocks} days",
        rows,
        blocks,
        float(champion_errors.mean()),
        float(challenger_errors.mean()),
        mean,
        low,
        high,
    )


def _interval(difference: npt.NDArray[np.float64], days: npt.NDArray[Any], gate: Gate) -> tuple[float, float]:
    _, block = np.unique(days, return_inverse=True)
    sums, counts = np.bincount(block, weights=difference), np.bincount(block)
    draws = np.random.default_rng(0).integers(0, len(sums), (gate.resamples, len(sums)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    tail = (1 - gate.confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
