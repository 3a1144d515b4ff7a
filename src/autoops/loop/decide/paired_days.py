"""Losses of two versions on the same rows, summed by day: the day-block interval depends on nothing else. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autoops.loop.decide import gate
from autoops.settings import Gate

REPLACED = "version that it replaced"


class DayErrors(NamedTuple):
    """One day's number of rows, and the summed losses of both versions."""

    rows: int
    previous: float
    new: float


PairedDays = Mapping[str, DayErrors]
"""Errors by local day since the epoch; the day is text, because JSON has no other keys."""

Errors = npt.NDArray[np.float64]


def by_day(days: npt.NDArray[np.int64], previous: Errors, new: Errors) -> dict[str, DayErrors]:
    """Sum the losses of single rows by day; the arrays have shape (rows,)."""
    names, place = np.unique(days, return_inverse=True)
    columns = (np.bincount(place), np.bincount(place, previous), np.bincount(place, new))
    return {
        str(name): DayErrors(int(rows), float(before), float(after))
        for name, rows, before, after in zip(names, *columns, strict=True)
    }


def merged(parts: Iterable[PairedDays]) -> dict[str, DayErrors]:
    """Sum the parts by day; the days keep the order in which they first occur."""
    found: dict[str, DayErrors] = {}
    for part in parts:
        for day, errors in part.items():
            # np.add makes a float of the row count; `compare` converts it back.
            found[day] = DayErrors(*np.add(found.get(day, DayErrors(0, 0.0, 0.0)), errors).tolist())
    return found


def compare(days: PairedDays, settings: Gate, looks: int, unit: gate.LossUnit = gate.PLAIN) -> gate.GateVerdict:
    """Return the gate's verdict on the new version as challenger of the version that it replaced.

    This is one of `looks` evaluations, which share the gate's error probability (Bonferroni).
    """
    each = settings.model_copy(update={"confidence": 1 - (1 - settings.confidence) / looks})
    rows = np.array([int(errors.rows) for errors in days.values()], dtype=np.int64)
    # Each row gets its day's mean, as the gate uses sums by day alone. A day without rows is
    # repeated zero times, and only its division has to be defined.
    previous, new = (
        np.repeat(np.array([sums[position] for sums in days.values()], dtype=np.float64) / np.maximum(rows, 1), rows)
        for position in (1, 2)
    )
    names = np.repeat(np.array([int(day) for day in days], dtype=np.int64), rows)
    # What it is about is these days, and not those that follow: the next look has more of them.
    return gate.decide(previous, new, names, each, against=REPLACED, unit=unit, ahead_days=0)
