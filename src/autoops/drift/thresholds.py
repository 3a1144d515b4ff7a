"""Thresholds of a version, kept in its bundle: a window beyond them is not ordinary."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from autoops.drift.performance import ErrorLimits
from autoops.errors import BundleError

DATA_DRIFT: Final = "data drift"
PREDICTION_DRIFT: Final = "prediction drift"
WEEK_DAYS = 7.0

_MICROSECONDS_PER_DAY = 86_400e6


@dataclass(frozen=True)
class Limits:
    """Limits for windows that span `span_days` or more: of distances by column, and of errors.

    They were calibrated on `windows` ordinary windows, none of them shorter.
    """

    span_days: float
    windows: int
    distances: dict[str, float]
    errors: ErrorLimits


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of a version, for a year in which `windows_per_year` windows are judged.

    `limits` are by growing span, and empty when the history was too short to calibrate on.
    """

    window_size: int
    false_alarms_per_year: float
    windows_per_year: float
    limits: tuple[Limits, ...]

    def for_span(self, days: float) -> Limits:
        """Return the limits of the longest calibrated span that a window of so many days fills.

        Shorter spans vary more. A window shorter than all of them gets the shortest's.
        """
        filled = [limits for limits in self.limits if limits.span_days <= days]
        return (filled or self.limits[:1])[-1]

    def to_json(self) -> str:
        """Return the thresholds as JSON text, which `from_json` reads."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Thresholds":
        """Return the thresholds from their JSON.

        Raises:
            BundleError: `to_json` did not write the text.
        """
        try:
            content = json.loads(text)
            limits = tuple(Limits(**{**each, "errors": ErrorLimits(**each["errors"])}) for each in content["limits"])
            return cls(content["window_size"], content["false_alarms_per_year"], content["windows_per_year"], limits)
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"thresholds: not readable ({error})") from error


def span_days(moments: "pd.Series[Any]") -> float:
    """Return the days that a window covers, from the middle 80 % of its timestamps: a straggler does not count."""
    early, late = np.quantile(moments.to_numpy(dtype="datetime64[us]").astype(np.int64), [0.1, 0.9])
    # Scaled up from 80 % of the rows to all of them, as for a steady flow of rows.
    return float(late - early) / 0.8 / _MICROSECONDS_PER_DAY
