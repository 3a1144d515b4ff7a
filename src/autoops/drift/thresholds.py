"""Thresholds from the version's own history: what ordinary windows of it looked like.

Consecutive windows of history are compared with the reference exactly as the monitor compares live ones, except that
the reference leaves out the window's own time: a window must not be measured against itself. The configured rate of
false alarms is split evenly over the three detectors (Bonferroni). Within data drift each feature gets

    rate / 3 * max(drift.threshold, 1 / groups) / members of its group

for if every group drifts by chance with probability p, then the drifted share of importance has expectation p, and
reaches `drift.threshold` with probability p / drift.threshold at most (Markov), and anything at all does so with
p * groups at most.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops import settings
from autoops.drift import performance
from autoops.drift.distances import compare, evenly, matched
from autoops.drift.performance import ErrorLimits
from autoops.drift.tails import FEWEST_WINDOWS, upper_bound_of_distances
from autoops.errors import BundleError
from autoops.features import CALENDAR, GROUPS, hour_of_week
from autoops.trips import TARGET, columns_of

PREDICTION = "prediction"
DETECTORS = 3
WEEK_DAYS = 7.0

_MICROSECONDS_PER_DAY = 86_400e6

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Limits:
    """For windows that span `span_days` or more: distances by column, errors in minutes. Behind them stand
    `windows` ordinary windows, none of them shorter."""

    span_days: float
    windows: int
    distances: dict[str, float]
    errors: ErrorLimits


@dataclass(frozen=True)
class Thresholds:
    """`limits` by growing span; empty when the history was too short to calibrate on."""

    window_size: int
    false_alarm_rate: float
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
            return cls(content["window_size"], content["false_alarm_rate"], limits)
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"thresholds: not readable ({error})") from error


def watched(features: Sequence[str]) -> tuple[str, ...]:
    """The features that count in drift."""
    return tuple(feature for feature in features if feature not in CALENDAR)


def span_days(moments: "pd.Series[Any]") -> float:
    """Days that a window covers, from its middle 80 %: a straggler makes no window long."""
    early, late = np.quantile(moments.to_numpy(dtype="datetime64[us]").astype(np.int64), [0.1, 0.9])
    return float(late - early) / 0.8 / _MICROSECONDS_PER_DAY


def calibrate(
    history: pd.DataFrame,
    holdout: pd.DataFrame,
    reference: pd.DataFrame,
    features: Sequence[str],
    drift: settings.Drift,
) -> Thresholds:
    """Frames as `training.train` returns them: trips in event order with prediction and target."""
    ordinary = _with_errors(history, holdout)
    rows = reference[reference["part"] == "window"]
    limits: list[Limits] = []
    for windows in (_consecutive(len(ordinary), drift.window_size), _weekly(ordinary, drift.window_size)):
        if len(windows) < FEWEST_WINDOWS:
            continue
        found = _limits(ordinary, windows, rows, watched(features), drift)
        if not limits:
            limits.append(found)
        elif found.span_days > limits[0].span_days:
            limits.append(_no_wider(found, limits[0]))
    return Thresholds(drift.window_size, drift.false_alarm_rate, tuple(limits))


def _with_errors(history: pd.DataFrame, holdout: pd.DataFrame) -> pd.DataFrame:
    fitted, held_out = ((part[PREDICTION] - part[TARGET]).to_numpy(dtype=float) for part in (history, holdout))
    errors = np.concatenate([performance.out_of_sample(fitted, held_out), held_out])
    return pd.concat([history, holdout], ignore_index=True).assign(error=errors)


def _consecutive(rows: int, size: int) -> list[Positions]:
    return [np.arange(start, start + size) for start in range(0, rows - size + 1, size)]


def _weekly(ordinary: pd.DataFrame, size: int) -> list[Positions]:
    """Windows thinned evenly out of whole weeks, one beginning every other day: they overlap, which `tails` allows
    for."""
    days = (ordinary["pickup_at"] - ordinary["pickup_at"].iloc[0]).to_numpy() / np.timedelta64(1, "D")
    windows = []
    for begin in np.arange(0, days[-1] - WEEK_DAYS, 2):
        first, last = np.searchsorted(days, [begin, begin + WEEK_DAYS])
        if last - first >= size:
            windows.append(first + evenly(last - first, size))
    return windows


def _limits(
    ordinary: pd.DataFrame,
    windows: list[Positions],
    reference: pd.DataFrame,
    features: tuple[str, ...],
    drift: settings.Drift,
) -> Limits:
    moments, hours = reference["pickup_at"], hour_of_week(columns_of(reference)["pickup_at"])
    found, spans, errors = [], [], []
    for positions in windows:
        window = ordinary.iloc[positions]
        begin, end = window["pickup_at"].iloc[0], window["pickup_at"].iloc[-1]
        others = np.flatnonzero((moments < begin) | (moments > end))
        alike = others[matched(hours[others], hour_of_week(columns_of(window)["pickup_at"]))]
        found.append(compare(reference.iloc[alike], window, (*features, PREDICTION)))
        spans.append(span_days(window["pickup_at"]))
        errors.append(window["error"].to_numpy())
    rates = _rates(features, drift)
    return Limits(
        span_days=min(spans),
        windows=len(windows),
        distances={
            name: upper_bound_of_distances(np.array([each[name] for each in found]), rate)
            for name, rate in rates.items()
        },
        errors=performance.limits(
            np.array([each.mean() for each in errors]),
            np.array([np.abs(each).mean() for each in errors]),
            drift.false_alarm_rate / DETECTORS,
        ),
    )


def _rates(features: tuple[str, ...], drift: settings.Drift) -> dict[str, float]:
    members = Counter(GROUPS.get(feature, feature) for feature in features)
    rate = drift.false_alarm_rate / DETECTORS
    of_group = rate * max(drift.threshold, 1 / len(members)) if members else rate
    return {feature: of_group / members[GROUPS.get(feature, feature)] for feature in features} | {PREDICTION: rate}


def _no_wider(longer: Limits, shorter: Limits) -> Limits:
    """A longer window varies less, but fewer of them calibrate it: the narrower limit of both holds."""
    distances = {name: min(limit, shorter.distances[name]) for name, limit in longer.distances.items()}
    return Limits(longer.span_days, longer.windows, distances, longer.errors.within(shorter.errors))
