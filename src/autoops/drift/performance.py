"""Loss: are the errors on labelled rows beyond those of ordinary windows?

The mean signed error (prediction - truth) shows a change of level, such as slower streets, long before the mean
absolute error does; the absolute error shows what the signed one averages away.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoops.drift.tails import Series, upper_bound

Errors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ErrorLimits:
    """Minutes: the mean errors of ordinary windows, and the bounds that these stay within."""

    signed_mean: float
    signed_low: float
    signed_high: float
    absolute_mean: float
    absolute_high: float

    def within(self, wider: "ErrorLimits") -> "ErrorLimits":
        """These limits, none of them further out than the wider ones."""
        return ErrorLimits(
            self.signed_mean,
            max(self.signed_low, wider.signed_low),
            min(self.signed_high, wider.signed_high),
            self.absolute_mean,
            min(self.absolute_high, wider.absolute_high),
        )


@dataclass(frozen=True)
class Loss:
    """Mean errors in minutes; `excess` is the worse of the two deviations, 1 where it reaches its limit."""

    signed: float
    absolute: float
    excess: float
    reason: str


def out_of_sample(fitted: Errors, held_out: Errors) -> Errors:
    """Errors on fitted rows, widened to the size that errors on rows the model never saw have.

    A model fits some of each day's own level too, so its errors on fitted rows understate how far windows differ:
    measured against blocked cross-fitting, by the same factor as they understate single errors.
    """
    inside, outside = (float(np.sqrt(np.mean(errors**2))) if len(errors) else 0.0 for errors in (fitted, held_out))
    return fitted * max(1.0, outside / inside) if inside > 0 else fitted


def limits(signed: Series, absolute: Series, rate: float) -> ErrorLimits:
    """From the mean errors of ordinary windows in time order; `rate` is split over the two errors, and for the
    signed one over its two sides."""
    return ErrorLimits(
        signed_mean=float(signed.mean()),
        signed_low=-upper_bound(-signed, rate / 4),
        signed_high=upper_bound(signed, rate / 4),
        absolute_mean=float(absolute.mean()),
        absolute_high=upper_bound(absolute, rate / 2),
    )


def judge_errors(errors: Errors, allowed: ErrorLimits) -> Loss:
    """`errors` are prediction - truth of one window, in minutes."""
    signed, absolute = float(errors.mean()), float(np.abs(errors).mean())
    bound = allowed.signed_high if signed > allowed.signed_mean else allowed.signed_low
    findings = [
        (
            _excess(signed, allowed.signed_mean, bound),
            f"predictions are {abs(signed):.2f} minutes {'too long' if signed > 0 else 'too short'} on average; "
            f"ordinary windows stay between {allowed.signed_low:+.2f} and {allowed.signed_high:+.2f}",
        ),
        (
            _excess(absolute, allowed.absolute_mean, allowed.absolute_high),
            f"the mean absolute error is {absolute:.2f} minutes; ordinary windows stay below "
            f"{allowed.absolute_high:.2f}",
        ),
    ]
    beyond = [sentence for excess, sentence in findings if excess >= 1]
    excess, sentence = max(findings, key=lambda finding: finding[0])
    return Loss(signed, absolute, excess, "; ".join(beyond) or sentence)


def _excess(value: float, mean: float, bound: float) -> float:
    return max(0.0, (value - mean) / (bound - mean)) if bound != mean else float(value != mean)
