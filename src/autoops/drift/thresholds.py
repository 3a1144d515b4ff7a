"""Thresholds of a version, which travel with it: beyond what a window is not ordinary any more."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from autoops.drift.performance import ErrorLimits
from autoops.errors import BundleError
from autoops.features import CALENDAR

PREDICTION = "prediction"
DATA_DRIFT: Final = "data drift"
PREDICTION_DRIFT: Final = "prediction drift"
WEEK_DAYS = 7.0

_MICROSECONDS_PER_DAY = 86_400e6


@dataclass(frozen=True)
class Limits:
    """For windows that span `span_days` or more: of distances by column, and of errors. Behind them stand
    `windows` ordinary windows, none of them shorter."""

    span_days: float
    windows: int
    distances: dict[str, float]
    errors: ErrorLimits


@dataclass(frozen=True)
class Thresholds:
    """`limits` by growing span; empty when the history was too short to calibrate on. They hold for a year in which
    `windows_per_year` are judged."""

    window_size: int
    false_alarms_per_year: float
    windows_per_year: float
    limits: tuple[Limits, ...]

    def for_span(self, days: float) -> Limits:
        """Those of the longest calibrated span that a window fills: shorter spans vary more. A window shorter than
        all of them gets the shortest's."""
        filled = [limits for limits in self.limits if limits.span_days <= days]
        return (filled or self.limits[:1])[-1]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Thresholds":
        """Raises BundleError for anything that `to_json` did not write."""
        try:
            content = json.loads(text)
            limits = tuple(Limits(**{**each, "errors": ErrorLimits(**each["errors"])}) for each in content["limits"])
            return cls(content["window_size"], content["false_alarms_per_year"], content["windows_per_year"], limits)
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"thresholds: not readable ({error})") from error


def watched(features: Sequence[str]) -> tuple[str, ...]:
    """The features that count in drift."""
    return tuple(feature for feature in features if feature not in CALENDAR)


def span_days(moments: "pd.Series[Any]") -> float:
    """Days that a window covers, from its middle 80 %: a straggler makes no window long."""
    early, late = np.quantile(moments.to_numpy(dtype="datetime64[us]").astype(np.int64), [0.1, 0.9])
    return float(late - early) / 0.8 / _MICROSECONDS_PER_DAY
