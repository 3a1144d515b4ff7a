"""Selection of labels: what loss would be if all rows had labels, where those that have them are not like the others.

Where labels are missing at random, loss on the labelled rows is that of all rows. Where rows with a large target are
labelled less often, the labelled ones are below their predictions in a world that has not changed. Two readings
weight each labelled row by the inverse of the share of such rows that have labels:

- by prediction: rows lack labels for reasons that the prediction knows (Horvitz and Thompson 1952);
- by truth: rows lack labels because of what came of them. The shares by truth are those that explain the shares by
  prediction, which has no say of its own given the truth (generalised calibration: Kott and Chang 2010).

The data cannot tell which one is right. So loss is judged by both, and only what both say counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import lsq_linear
from scipy.stats import chi2_contingency

from autoops.drift.verdict import DriftVerdict
from autoops.loop.data.label_coverage import Bin, Coverage
from autoops.usecase.columns import PREDICTION, TARGET

BY_CHANCE = 0.001
"""Probability of shares that differ as much between predictions, where labels are missing at random."""

ALIKE = 0.9
"""Least share of a bin, as a part of the largest, that needs no weights, however many rows confirm that it differs."""

MOST_WEIGHT = 10.0
"""Largest weight of a row, in those of the best labelled bin: of less than a tenth, the few labels decide too much."""

_SMOOTH = 0.1
"""Weight of the differences between neighbours in the shares by truth, which single rows would decide otherwise."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """Labelled shares by prediction that chance does not explain."""

    bins: Sequence[Bin]

    @property
    def told(self) -> str:
        """Return the labelled share, and the least and the largest by prediction."""
        share = sum(one.labelled for one in self.bins) / sum(one.predictions for one in self.bins)
        least, most = (pick(range(len(self.bins)), key=_shares(self.bins).__getitem__) for pick in (min, max))
        return f"{share:.0%} of the predictions have labels, {self._of(most)} and {self._of(least)}"

    @property
    def hidden(self) -> bool:
        """Return whether some predictions have hardly any labels, which no weight replaces."""
        shares = _shares(self.bins)
        return bool(shares.min() * MOST_WEIGHT < shares.max())

    def readings(self, labelled: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the labelled rows weighted by prediction, and by truth: frames of as many rows, drawn by weight."""
        shares, lows = _shares(self.bins), np.array([one.low for one in self.bins])
        predicted, true = (
            np.maximum(0, np.searchsorted(lows, labelled[name].to_numpy(float), side="right") - 1)
            for name in (PREDICTION, TARGET)
        )
        needed = shares.max() / np.maximum(shares, shares.max() / MOST_WEIGHT)
        return _drawn(labelled, needed[predicted]), _drawn(labelled, _by_truth(needed, predicted, true)[true])

    def _of(self, position: int) -> str:
        low, share = self.bins[position].low, _shares(self.bins)[position]
        if position == 0:
            return f"{share:.0%} of the lowest (below {self.bins[1].low:.3g})"
        until = f" to {self.bins[position + 1].low:.3g}" if position + 1 < len(self.bins) else " on"
        return f"{share:.0%} of those from {low:.3g}{until}"


def selection_of(coverage: Coverage | None) -> Selection | None:
    """Return the selection of labels; None where they may be missing at random, or where too little is known."""
    bins = coverage.bins if coverage else ()
    counts = np.array([(one.labelled, one.predictions - one.labelled) for one in bins])
    if len(bins) < 2 or not counts.sum(axis=0).all():
        return None
    shares = _shares(bins)
    if shares.min() >= ALIKE * shares.max() or chi2_contingency(counts).pvalue > BY_CHANCE:
        return None
    return Selection(bins)


def agreed(by_prediction: DriftVerdict, by_truth: DriftVerdict) -> bool:
    """Return whether both readings of the labels find the same: no loss, or a common type of it."""
    found = [verdict.detector("loss") for verdict in (by_prediction, by_truth)]
    one, other = (set(result.findings) if result else set() for result in found)
    return bool(one & other) or not one | other


def _shares(bins: Sequence[Bin]) -> Array:
    return np.array([one.labelled / one.predictions for one in bins])


def _by_truth(needed: Array, predicted: npt.NDArray[np.intp], true: npt.NDArray[np.intp]) -> Array:
    """Return the weight by bin of the truth whose mean is what each bin of predictions needs."""
    count = len(needed)
    joint = np.zeros((count, count))
    np.add.at(joint, (predicted, true), 1.0)
    mean = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1)
    smooth = _SMOOTH * np.diff(np.eye(count), axis=0)
    rows, wanted = np.vstack([mean, smooth]), np.concatenate([needed, np.zeros(count - 1)])
    # A label that is twice as rare by truth is less than twice as rare by prediction, so the bound is farther out.
    return np.asarray(lsq_linear(rows, wanted, bounds=(1 / MOST_WEIGHT, MOST_WEIGHT**2)).x)


def _drawn(rows: pd.DataFrame, weights: Array) -> pd.DataFrame:
    """Return as many rows in the same order, each about as often as its weight says (systematic sampling)."""
    until = np.cumsum(weights)
    marks = (np.arange(len(rows)) + 0.5) * (until[-1] / max(1, len(rows))) if len(rows) else until
    return rows.iloc[np.searchsorted(until, marks)]
