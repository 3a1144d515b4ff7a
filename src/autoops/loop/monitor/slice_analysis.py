"""Slice analysis of an alarm: which inputs moved and how important they are, and on which trips the error grew. Pure.

The window's errors are compared with those on the version's own holdout, which it was not fitted on either. A slice of
trips stands out where its error grew by a larger factor than that of all trips, by more than three standard errors of
the factor's logarithm: of the dozens of zones, some exceed two by chance.
"""

from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.drift.monitor import Reference
from autoops.drift.thresholds import PREDICTION
from autoops.drift.verdict import DriftVerdict
from autoops.loop.decide.segments import segments_of
from autoops.trips import TARGET, Columns, columns_of

GROUPS = ("hour_band", "distance_band", "no_passenger_count")
FEWEST_ROWS = 30
DEVIATIONS = 3
MOST_ZONES = 3

Errors = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]


class MovedFeature(TypedDict):
    """A feature that is beyond its threshold."""

    feature: str
    distance: float
    threshold: float
    importance: float


class Slice(TypedDict):
    """A slice of trips, with its mean absolute errors in minutes, now and on the holdout.

    `stands_out` says that the error grew by a larger factor than that of all trips, beyond chance.
    """

    name: str
    rows: int
    absolute: float
    absolute_before: float
    stands_out: bool


class ErrorGrowth(TypedDict):
    """Errors of all trips in minutes, prediction − truth where `signed`.

    `groups` are all slices with enough trips, `zones` the pickup zones that stand out most.
    """

    rows: int
    signed: float
    signed_before: float
    absolute: float
    absolute_before: float
    groups: list[Slice]
    zones: list[Slice]


class SliceAnalysis(TypedDict):
    """The features that moved, most important first, and where the error grew; `error` is None without ground truth."""

    features: list[MovedFeature]
    error: ErrorGrowth | None


def analyse(reference: Reference, verdict: DriftVerdict, labelled: pd.DataFrame) -> SliceAnalysis:
    """Return which inputs moved and on which trips the error grew, as JSON.

    `labelled` is a frame of the window's trips with `prediction` and the target, both in minutes.
    """
    drifted: list[MovedFeature] = [
        {
            "feature": result.feature,
            "distance": result.distance,
            "threshold": result.threshold,
            "importance": result.importance,
        }
        for result in sorted(verdict.features, key=lambda result: -result.importance)
        if result.drifted
    ]
    return {"features": drifted, "error": _error(reference.holdout, labelled) if len(labelled) else None}


def _error(holdout: pd.DataFrame, labelled: pd.DataFrame) -> ErrorGrowth:
    before, now = (rows[PREDICTION].to_numpy() - rows[TARGET].to_numpy() for rows in (holdout, labelled))
    trips = columns_of(holdout), columns_of(labelled)
    # Both sides have the same bands in the same order, that of GROUPS.
    bands = zip(segments_of(trips[0], GROUPS).items(), segments_of(trips[1], GROUPS).values(), strict=True)
    groups = [_group(name, before, first, now, second) for (name, first), second in bands]
    zones = [group for group in _zones(trips, before, now) if group["stands_out"]]
    return {
        "rows": len(now),
        "signed": float(now.mean()),
        "signed_before": float(before.mean()),
        "absolute": float(np.abs(now).mean()),
        "absolute_before": float(np.abs(before).mean()),
        "groups": [group for group in groups if group is not None],
        "zones": sorted(zones, key=_growth, reverse=True)[:MOST_ZONES],
    }


def _zones(trips: tuple[Columns, Columns], before: Errors, now: Errors) -> list[Slice]:
    then, later = (columns["pickup_location_id"] for columns in trips)
    found = [_group(f"pickup zone {zone}", before, then == zone, now, later == zone) for zone in np.unique(later)]
    return [group for group in found if group is not None]


def _group(name: str, before: Errors, first: Rows, now: Errors, second: Rows) -> Slice | None:
    """Compare the errors of a slice before and now; None for too few trips on either side."""
    if min(first.sum(), second.sum()) < FEWEST_ROWS:
        return None
    then, later = np.abs(before[first]), np.abs(now[second])
    beyond = np.log(later.mean() / then.mean()) - np.log(np.abs(now).mean() / np.abs(before).mean())
    # Delta method: the variance of a mean's logarithm is var / (n * mean**2).
    deviation = np.sqrt(sum(part.var() / part.mean() ** 2 / len(part) for part in (later, then)))
    return {
        "name": name,
        "rows": len(later),
        "absolute": float(later.mean()),
        "absolute_before": float(then.mean()),
        "stands_out": bool(beyond > DEVIATIONS * deviation),
    }


def _growth(group: Slice) -> float:
    return float(group["absolute"] / group["absolute_before"])
