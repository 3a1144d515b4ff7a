"""Loss: are the errors on labelled rows beyond those of ordinary windows?

The level says by how much targets lie above predictions. It shows a change, such as slower streets, long before the
mean absolute error does. Of a target that is positive by declaration it is the median, over a window, of log(truth /
prediction); of any other number the mean of the residual, in units of the holdout's mean absolute residual and cut at
FARTHEST of them; of a binary target the mean of truth - probability, which is calibration in the large. A few broken
rows move no median, and cut ones hardly a mean. Where most targets are 0, a median would see nothing. The
EWMA of levels over windows shows changes that are too small for any single window. The mean absolute error shows errors
in both directions, which cancel out in a level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoops.drift.tails import Ordinary, Series, ewma
from autoops.usecase.contract import Contract

Errors = npt.NDArray[np.float64]

# Checks are stored with these texts, and persistence is counted by them.
ABOVE, BELOW, LARGER = "targets above predictions", "targets below predictions", "larger errors"
EWMA_ABOVE, EWMA_BELOW = "targets above predictions (EWMA)", "targets below predictions (EWMA)"
FINDINGS = (ABOVE, BELOW, LARGER, EWMA_ABOVE, EWMA_BELOW)


FARTHEST = 5.0
"""Residuals count as so many mean absolute ones at most."""

HARDLY = 3.0
"""A change of so many standard deviations, or by this factor, happens to hardly any table."""


@dataclass(frozen=True)
class ErrorLimits:
    """Limits of ordinary windows.

    They are the mean of levels (`relative_mean`), the bounds of levels and of their EWMA (`recent_low`, `recent_high`),
    and the mean and the upper bound of mean absolute errors. `scale` is that of residuals, where these are the level.
    """

    # The names are keys of thresholds.json in bundles that are registered already.
    relative_mean: float
    relative_low: float
    relative_high: float
    recent_low: float
    recent_high: float
    absolute_mean: float
    absolute_high: float
    scale: float = 1.0

    def within(self, wider: "ErrorLimits") -> "ErrorLimits":
        """Return these limits, none of them further out than the wider ones."""
        return ErrorLimits(
            self.relative_mean,
            max(self.relative_low, wider.relative_low),
            min(self.relative_high, wider.relative_high),
            max(self.recent_low, wider.recent_low),
            min(self.recent_high, wider.recent_high),
            self.absolute_mean,
            min(self.absolute_high, wider.absolute_high),
            self.scale,
        )

    def beyond(self, other: "ErrorLimits") -> "ErrorLimits":
        """Return the wider of both limits, about the middle of both means."""
        return ErrorLimits(
            (self.relative_mean + other.relative_mean) / 2,
            min(self.relative_low, other.relative_low),
            max(self.relative_high, other.relative_high),
            min(self.recent_low, other.recent_low),
            max(self.recent_high, other.recent_high),
            (self.absolute_mean + other.absolute_mean) / 2,
            max(self.absolute_high, other.absolute_high),
            self.scale,
        )


@dataclass(frozen=True)
class Loss:
    """The errors of a window: `relative` is its level, `absolute` the mean absolute error.

    `excess` is the largest deviation as a multiple of its limit, and `findings` are the alarm types that reach theirs.
    """

    relative: float
    absolute: float
    excess: float
    findings: tuple[str, ...]
    reason: str


def is_ratio(contract: Contract) -> bool:
    """Return whether the level is a log ratio: the target is positive by declaration."""
    return contract.task == "regression" and contract.target.low is not None and contract.target.low > 0


def levels(contract: Contract, truth: Errors, prediction: Errors, scale: float = 1.0) -> Errors:
    """Return the level of each row, positive where the truth is above the prediction; arrays have the shape (rows,).

    `scale` is that of residuals. For a ratio neither number counts as less than the least target that is declared.
    """
    if is_ratio(contract):
        least = contract.target.low or 0.0
        return np.asarray(np.log(np.maximum(truth, least) / np.maximum(prediction, least)), dtype=np.float64)
    return np.asarray((truth - prediction) / scale, dtype=np.float64)


def scale_of(contract: Contract, truth: Errors, prediction: Errors) -> float:
    """Return the mean absolute residual of these rows, 1 where residuals are not the level or all are 0."""
    if contract.task == "binary" or is_ratio(contract) or not len(truth):
        return 1.0
    return float(np.mean(np.abs(truth - prediction))) or 1.0


def level_of(contract: Contract, rows: Errors) -> float:
    """Return the level of a window from those of its rows: the median of ratios, the mean of others."""
    return float(np.median(rows) if is_ratio(contract) else np.clip(rows, -FARTHEST, FARTHEST).mean())


def out_of_sample(fitted: Errors, held_out: Errors, newest: int = 0) -> Errors:
    """Return errors on fitted rows, widened to the mean size of errors on rows that the model never saw.

    A model follows its own rows, and each day's level, part of the way: its errors on them are drawn towards zero. They
    understate how far windows differ, and where their middle lies, by the same factor as they understate single errors.
    This was measured against blocked cross-fitting, and on days that the model never saw. Where the level moved, only
    the `newest` fitted rows compare with those held out; 0 means all.
    """
    inside, outside = (float(np.abs(errors).mean()) if len(errors) else 0.0 for errors in (fitted[-newest:], held_out))
    # Never below 1: a holdout that happens to be easier must not narrow the limits.
    return fitted * max(1.0, outside / inside) if inside > 0 else fitted


def limits(
    relative: Series,
    absolute: Series,
    ordinary: Ordinary,
    incidents_per_year: float,
    held_out: float,
    scale: float = 1.0,
    levelled: float = 1.0,
) -> ErrorLimits:
    """Return the limits from the errors of ordinary windows in time order, two series of shape (windows,).

    `incidents_per_year` is what each alarm type may open. `held_out` is the share of the rows that the model never
    saw: `out_of_sample` estimates the level of absolute errors from these alone, and all later windows share its error.
    The share `levelled` of the windows estimates the mean of the levels.
    """
    rate = incidents_per_year
    return ErrorLimits(
        relative_mean=float(relative.mean()),
        # A lower bound is the negated upper bound of the negated series.
        relative_low=-ordinary.upper_bound(-relative, rate, levelled),
        relative_high=ordinary.upper_bound(relative, rate, levelled),
        recent_low=-ordinary.upper_bound_of_ewma(-relative, rate, levelled),
        recent_high=ordinary.upper_bound_of_ewma(relative, rate, levelled),
        absolute_mean=float(absolute.mean()),
        # Of a few windows whose errors grow with a season, the tail would allow anything.
        absolute_high=min(
            ordinary.upper_bound(absolute, rate, held_out), max(HARDLY * float(absolute.mean()), float(absolute.max()))
        ),
        scale=scale,
    )


def judge_errors(
    contract: Contract, truth: Errors, prediction: Errors, allowed: ErrorLimits, earlier: Sequence[float] = ()
) -> Loss:
    """Judge the errors of one window; `truth` and `prediction` have the shape (rows,).

    `earlier` are the relative errors of the windows before it, newest first. Each is cut at the bounds of single
    windows before it enters the EWMA, or one extreme window would make ordinary ones after it alarm. The bounds of the
    EWMA are those without the cut, which only takes from its tails.
    """
    relative = level_of(contract, levels(contract, truth, prediction, allowed.scale))
    absolute = float(np.abs(prediction - truth).mean())
    mean = allowed.relative_mean
    counted = np.clip(earlier, allowed.relative_low, allowed.relative_high).tolist()
    ewma_error = ewma([relative, *counted], mean)
    excesses = {
        ABOVE: _excess(relative - mean, allowed.relative_high - mean),
        BELOW: _excess(mean - relative, mean - allowed.relative_low),
        LARGER: _excess(absolute - allowed.absolute_mean, allowed.absolute_high - allowed.absolute_mean),
        EWMA_ABOVE: _excess(ewma_error - mean, allowed.recent_high - mean),
        EWMA_BELOW: _excess(mean - ewma_error, mean - allowed.recent_low),
    }
    signed = float((prediction - truth).mean())
    text = _LevelText(contract, allowed.scale)
    between = (
        f"ordinary windows stay between {text.short(allowed.relative_low)} and {text.short(allowed.relative_high)}"
    )
    level = f"{text.level(relative)}{text.cut(relative, signed)}, {text.bias(signed)}; {between}"
    size = f"the mean absolute error is {absolute:.{text.digits}f}{contract.unit}; ordinary windows stay below "
    size += f"{allowed.absolute_high:.{text.digits}f}"
    trend = (
        f"over the recent windows {text.level(ewma_error)}; ordinary is between {text.short(allowed.recent_low)} and "
    )
    trend += text.short(allowed.recent_high)
    sentences = {ABOVE: level, BELOW: level, LARGER: size, EWMA_ABOVE: trend, EWMA_BELOW: trend}
    beyond = tuple(finding for finding in FINDINGS if excesses[finding] >= 1)
    worst = max(FINDINGS, key=lambda finding: excesses[finding])
    reasons = dict.fromkeys(sentences[finding] for finding in beyond or (worst,))
    return Loss(relative, absolute, excesses[worst], beyond, "; ".join(reasons))


def _excess(deviation: float, allowed: float) -> float:
    if deviation <= 0:
        return 0.0
    # Where ordinary windows never differed, any deviation reaches the limit.
    return deviation / allowed if allowed > 0 else 1.0


class _LevelText:
    """Levels in words."""

    def __init__(self, contract: Contract, scale: float) -> None:
        self._contract, self._scale = contract, scale
        self._ratio, self._binary = is_ratio(contract), contract.task == "binary"
        self.digits = 3 if self._binary else 2

    def short(self, level: float) -> str:
        """Return a level as a signed figure."""
        if self._ratio:
            return f"{np.expm1(level):+.1%}"
        return f"{level:+.1%}" if self._binary else f"{level * self._scale:+.2f}{self._contract.unit}"

    def level(self, level: float) -> str:
        """Return a level as a sentence."""
        size, noun = self.short(abs(level) if not self._ratio else 0.0).lstrip("+"), self._contract.target.told
        if self._ratio:
            size = f"{abs(np.expm1(level)):.1%}"
        side = "above" if level > 0 else "below"
        if self._binary:
            return f"the share of {noun} is {size} {side} the mean probability"
        typical = "the typical" if self._ratio else "on average the"
        return f"{typical} {self._contract.row}'s {noun} is {size} {side} the prediction"

    def cut(self, level: float, signed: float) -> str:
        """Return how far the level counts a row, empty where it is the plain mean beside it."""
        if self._ratio or self._binary or abs(level * self._scale + signed) < 10.0**-self.digits:
            return ""
        return f" where no row counts for more than {FARTHEST * self._scale:.{self.digits}f}{self._contract.unit}"

    def bias(self, signed: float) -> str:
        """Return the mean of prediction - truth as a sentence."""
        side = "high" if signed > 0 else "low"
        return f"predictions are {abs(signed):.{self.digits}f}{self._contract.unit} too {side} on average"
