"""Slice analysis of an alarm: which inputs moved and how important they are, and on which rows the error grew. Pure.

The window's errors are compared with those on the version's own holdout, which it was not fitted on either. A slice of
rows stands out where its error grew by a larger factor than that of all rows, by more than three standard errors of
the factor's logarithm: of dozens of values, some exceed two by chance.
"""

from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.drift.monitor import Reference
from autoops.drift.verdict import DriftVerdict
from autoops.usecase.columns import PREDICTION, TARGET, Columns, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.segments import segments_of

FEWEST_ROWS = 30
DEVIATIONS = 3
MOST_VALUES = 3

Errors = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]


class MovedFeature(TypedDict):
    """A feature that is beyond its threshold."""

    feature: str
    distance: float
    threshold: float
    importance: float


class Slice(TypedDict):
    """A slice of rows, with its mean absolute errors, now and on the holdout.

    `stands_out` says that the error grew by a larger factor than that of all rows, beyond chance.
    """

    name: str
    rows: int
    absolute: float
    absolute_before: float
    stands_out: bool


class ErrorGrowth(TypedDict):
    """Errors of all rows, prediction − truth where `signed`.

    `groups` are all declared segments with enough rows, `values` the values of categories that stand out most.
    """

    rows: int
    signed: float
    signed_before: float
    absolute: float
    absolute_before: float
    groups: list[Slice]
    values: list[Slice]


class SliceAnalysis(TypedDict):
    """The features that moved, most important first, and where the error grew; `error` is None without ground truth."""

    features: list[MovedFeature]
    error: ErrorGrowth | None


def analyse(reference: Reference, verdict: DriftVerdict, labelled: pd.DataFrame) -> SliceAnalysis:
    """Return which inputs moved and on which rows the error grew, as JSON.

    `labelled` is a frame of the window's rows with `prediction` and the target.
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
    return {"features": drifted, "error": _error(reference, labelled) if len(labelled) else None}


def _error(reference: Reference, labelled: pd.DataFrame) -> ErrorGrowth:
    contract, holdout = reference.contract, reference.holdout
    before, now = (rows[PREDICTION].to_numpy() - rows[TARGET].to_numpy() for rows in (holdout, labelled))
    both = columns_of(holdout), columns_of(labelled)
    # Both sides have the same bands in the same order, that of GROUPS.
    names = contract.gate.segments if contract.gate.segments is not None else tuple(contract.segments)
    first, second = (segments_of(contract, columns, names) for columns in both)
    groups = [_group(name, before, rows, now, second[name]) for name, rows in first.items() if name in second]
    values = [group for group in _values(contract, both, before, now) if group["stands_out"]]
    return {
        "rows": len(now),
        "signed": float(now.mean()),
        "signed_before": float(before.mean()),
        "absolute": float(np.abs(now).mean()),
        "absolute_before": float(np.abs(before).mean()),
        "groups": [group for group in groups if group is not None],
        "values": sorted(values, key=_growth, reverse=True)[:MOST_VALUES],
    }


def _values(contract: Contract, rows: tuple[Columns, Columns], before: Errors, now: Errors) -> list[Slice]:
    found: list[Slice | None] = []
    for name in contract.told_apart:
        then, later = (columns[name] for columns in rows)
        values = sorted(set(later.tolist()) - {None})
        found += [_group(f"{name}={value}", before, then == value, now, later == value) for value in values]
    return [group for group in found if group is not None]


def _group(name: str, before: Errors, first: Rows, now: Errors, second: Rows) -> Slice | None:
    """Compare the errors of a slice before and now; None for too few rows on either side."""
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
