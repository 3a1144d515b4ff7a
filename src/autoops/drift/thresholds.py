"""Thresholds of a version, kept in its bundle: a window beyond them is not ordinary."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from autoops.cadence import asked_of
from autoops.drift.performance import HARDLY, ErrorLimits, is_ratio
from autoops.errors import BundleError
from autoops.usecase.contract import Contract

DATA_DRIFT: Final = "data drift"
PREDICTION_DRIFT: Final = "prediction drift"
WEEK_DAYS = 7.0

DISJOINT = 0.72
"""The Jensen-Shannon distance of samples of which one value in ten is shared; where none is, it is 0.83."""

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

    `limits` are by growing span, and empty when the history was too short to calibrate on. `rows_per_day` are those of
    the history; None in versions of earlier releases. `moved` is a sentence where the history did not keep its level.
    """

    window_size: int
    false_alarms_per_year: float
    windows_per_year: float
    limits: tuple[Limits, ...]
    rows_per_day: float | None = None
    moved: str = ""

    def for_span(self, days: float) -> Limits:
        """Return the limits of the longest calibrated span that a window of so many days fills.

        Shorter spans vary more. A window shorter than all of them gets the shortest's.
        """
        filled = [limits for limits in self.limits if limits.span_days <= days]
        return (filled or self.limits[:1])[-1]

    def rows_needed(self, window_size: int) -> int:
        """Return how many rows a window needs where `drift.window_size` is set like this: a week's at most.

        The limits are for windows of the version's own size, whatever the setting says by now.
        """
        return max(asked_of(window_size, self.rows_per_day, WEEK_DAYS), self.window_size)

    def blind_to(self, contract: Contract) -> tuple[str, ...]:
        """Return what no detector would notice: columns whose change stays below their limit, and errors.

        It is blind to a number that moves by HARDLY standard deviations, to a category of which hardly a value is left,
        to errors HARDLY times as large, and to targets off by that factor, by HARDLY mean absolute errors, or, in a
        binary task, by one half in the share of positives.
        """
        if not self.limits:
            return ("everything",)
        # A window of any span must notice it: the longest have the narrowest limits.
        columns = {name: min(each.distances[name] for each in self.limits) for name in self.limits[0].distances}
        errors = self.limits[-1].errors
        blind = [name for name, limit in columns.items() if limit > noticed(contract, name)]
        if errors.absolute_high > HARDLY * errors.absolute_mean:
            blind.append("larger errors")
        farthest = 0.5 if contract.task == "binary" else np.log(HARDLY) if is_ratio(contract) else HARDLY
        if max(errors.relative_high - errors.relative_mean, errors.relative_mean - errors.relative_low) >= farthest:
            blind.append("calibration" if contract.task == "binary" else "targets off on one side")
        return tuple(blind)

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
            return cls(**{"rows_per_day": None, **content, "limits": limits})
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"thresholds: not readable ({error})") from error


def noticed(contract: Contract, column: str) -> float:
    """Return the distance of a column that any detector should notice."""
    return HARDLY if contract.distance_of(column) == "wasserstein" else DISJOINT


def span_days(moments: "pd.Series[Any]") -> float:
    """Return the days that a window covers, from the middle 80 % of its timestamps: a straggler does not count."""
    early, late = np.quantile(moments.to_numpy(dtype="datetime64[us]").astype(np.int64), [0.1, 0.9])
    # Scaled up from 80 % of the rows to all of them, as for a steady flow of rows.
    return float(late - early) / 0.8 / _MICROSECONDS_PER_DAY
