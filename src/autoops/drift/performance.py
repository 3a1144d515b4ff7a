"""Loss: are the errors on labelled rows beyond those of ordinary windows?

The relative error says how much longer the typical trip takes than predicted: the median, over a window, of log(truth /
prediction). It shows a change of level, such as slower streets, long before the mean absolute error does, and a few
broken rows do not move it. Its EWMA over windows shows changes that are too small for any single window. The mean
absolute error shows errors in both directions, which cancel out in a level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoops.drift.tails import Ordinary, Series, ewma
from autoops.trips import DURATION_MINUTES

Errors = npt.NDArray[np.float64]

# Checks are stored with these texts, and persistence is counted by them.
LONGER, SHORTER, LARGER = "trips take longer", "trips take less time", "larger errors"
EWMA_LONGER, EWMA_SHORTER = "trips have taken longer lately", "trips have taken less time lately"
FINDINGS = (LONGER, SHORTER, LARGER, EWMA_LONGER, EWMA_SHORTER)


@dataclass(frozen=True)
class ErrorLimits:
    """Limits of ordinary windows.

    They are the mean of relative errors, the bounds of relative errors and of their EWMA (`recent_low`, `recent_high`),
    and the mean and the upper bound of mean absolute errors in minutes.
    """

    # The names are keys of thresholds.json in bundles that are registered already.
    relative_mean: float
    relative_low: float
    relative_high: float
    recent_low: float
    recent_high: float
    absolute_mean: float
    absolute_high: float

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
        )


@dataclass(frozen=True)
class Loss:
    """The errors of a window: `relative` is a log ratio, `absolute` is in minutes.

    `excess` is the largest deviation as a multiple of its limit, and `findings` are the alarm types that reach theirs.
    """

    relative: float
    absolute: float
    excess: float
    findings: tuple[str, ...]
    reason: str


def relative_errors(truth: Errors, prediction: Errors) -> Errors:
    """Return log(truth / prediction) of each row, positive where a trip took longer.

    Both arguments are minutes, of shape (rows,); neither counts as shorter than a trip can be.
    """
    shortest = DURATION_MINUTES.low
    return np.asarray(np.log(np.maximum(truth, shortest) / np.maximum(prediction, shortest)), dtype=np.float64)


def out_of_sample(fitted: Errors, held_out: Errors) -> Errors:
    """Return errors on fitted rows, widened to the mean size of errors on rows that the model never saw.

    A model follows its own rows, and each day's level, part of the way: its errors on them are drawn towards zero. They
    understate how far windows differ, and where their middle lies, by the same factor as they understate single errors.
    This was measured against blocked cross-fitting, and on days that the model never saw.
    """
    inside, outside = (float(np.abs(errors).mean()) if len(errors) else 0.0 for errors in (fitted, held_out))
    # Never below 1: a holdout that happens to be easier must not narrow the limits.
    return fitted * max(1.0, outside / inside) if inside > 0 else fitted


def limits(
    relative: Series, absolute: Series, ordinary: Ordinary, incidents_per_year: float, held_out: float
) -> ErrorLimits:
    """Return the limits from the errors of ordinary windows in time order, two series of shape (windows,).

    `incidents_per_year` is what each alarm type may open. `held_out` is the share of the trips that the model never
    saw: `out_of_sample` estimates the level of absolute errors from these alone, and all later windows share its error.
    """
    rate = incidents_per_year
    return ErrorLimits(
        relative_mean=float(relative.mean()),
        # A lower bound is the negated upper bound of the negated series.
        relative_low=-ordinary.upper_bound(-relative, rate),
        relative_high=ordinary.upper_bound(relative, rate),
        recent_low=-ordinary.upper_bound_of_ewma(-relative, rate),
        recent_high=ordinary.upper_bound_of_ewma(relative, rate),
        absolute_mean=float(absolute.mean()),
        absolute_high=ordinary.upper_bound(absolute, rate, held_out),
    )


def judge_errors(truth: Errors, prediction: Errors, allowed: ErrorLimits, earlier: Sequence[float] = ()) -> Loss:
    """Judge the errors of one window; `truth` and `prediction` are minutes, of shape (rows,).

    `earlier` are the relative errors of the windows before it, newest first.
    """
    relative = float(np.median(relative_errors(truth, prediction)))
    absolute = float(np.abs(prediction - truth).mean())
    ewma_error = ewma([relative, *earlier], allowed.relative_mean)
    mean = allowed.relative_mean
    excesses = {
        LONGER: _excess(relative - mean, allowed.relative_high - mean),
        SHORTER: _excess(mean - relative, mean - allowed.relative_low),
        LARGER: _excess(absolute - allowed.absolute_mean, allowed.absolute_high - allowed.absolute_mean),
        EWMA_LONGER: _excess(ewma_error - mean, allowed.recent_high - mean),
        EWMA_SHORTER: _excess(mean - ewma_error, mean - allowed.recent_low),
    }
    signed = float((prediction - truth).mean())
    level = f"{_told(relative)}, predictions are {abs(signed):.2f} minutes too {'long' if signed > 0 else 'short'} on "
    level += f"average; ordinary windows stay between {_percent(allowed.relative_low)} and "
    level += _percent(allowed.relative_high)
    size = f"the mean absolute error is {absolute:.2f} minutes; ordinary windows stay below {allowed.absolute_high:.2f}"
    trend = f"over the recent windows {_told(ewma_error)}; ordinary is between {_percent(allowed.recent_low)} and "
    trend += _percent(allowed.recent_high)
    sentences = {LONGER: level, SHORTER: level, LARGER: size, EWMA_LONGER: trend, EWMA_SHORTER: trend}
    beyond = tuple(finding for finding in FINDINGS if excesses[finding] >= 1)
    worst = max(FINDINGS, key=lambda finding: excesses[finding])
    told = dict.fromkeys(sentences[finding] for finding in beyond or (worst,))
    return Loss(relative, absolute, excesses[worst], beyond, "; ".join(told))


def _excess(deviation: float, allowed: float) -> float:
    if deviation <= 0:
        return 0.0
    # Where ordinary windows never differed, any deviation reaches the limit.
    return deviation / allowed if allowed > 0 else 1.0


def _percent(relative: float) -> str:
    return f"{np.expm1(relative):+.1%}"


def _told(relative: float) -> str:
    share = np.expm1(relative)
    return f"the typical trip takes {abs(share):.1%} {'longer' if share > 0 else 'less'} than predicted"
