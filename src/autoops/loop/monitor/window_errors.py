"""The model's errors in a window, with an interval, for metrics and people. Detectors do not use them."""

from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.loop.decide.day_blocks import MIN_DAYS, MIN_EFFECTIVE_DAYS, DayBlocks, full_days
from autoops.usecase.columns import TARGET

CONFIDENCE = 0.95


class Bounds(TypedDict):
    """A mean and its bounds; the bounds are None where days or hours are too few."""

    mean: float
    low: float | None
    high: float | None


class WindowErrors(TypedDict):
    """Errors of the last labelled rows, whose number is `rows`."""

    rows: int
    confidence: float
    signed: Bounds
    absolute: Bounds


def errors_of(labelled: pd.DataFrame) -> WindowErrors | None:
    """Return the errors of labelled rows; None without rows.

    `labelled` is a frame with `event_at`, `prediction` and the target. `signed` is prediction −
    truth, `absolute` its absolute value; each has `mean`, `low` and `high`. Errors of one hour share its traffic, so
    their intervals are for days, or for hours of a window of fewer than five days. The bounds are None where these are
    too few to tell how they differ.
    """
    if not len(labelled):
        return None
    error = (labelled["prediction"] - labelled[TARGET]).to_numpy(dtype=np.float64)
    blocks = _blocks(labelled["event_at"])
    return {
        "rows": len(labelled),
        "confidence": CONFIDENCE,
        "signed": _interval(blocks, error),
        "absolute": _interval(blocks, np.abs(error)),
    }


def _blocks(moments: "pd.Series[pd.Timestamp]") -> DayBlocks:
    """Return the rows' days, or their hours where days are too few."""
    # A frame may have another unit; the divisor is an hour in microseconds.
    microseconds = moments.astype("datetime64[us, UTC]").astype("int64").to_numpy()
    hours = np.asarray(microseconds // 3_600_000_000, dtype=np.int64)
    days = hours // 24
    counts = np.unique(days, return_counts=True)[1].astype(np.float64)
    return DayBlocks(days) if full_days(counts) >= MIN_DAYS else DayBlocks(hours, cycle=24)


def _interval(blocks: DayBlocks, values: npt.NDArray[np.float64]) -> Bounds:
    every = np.ones(len(values), dtype=bool)
    if blocks.spread(every).effective_days < MIN_EFFECTIVE_DAYS:
        return {"mean": float(values.mean()), "low": None, "high": None}
    found = blocks.estimate(values, every, tail=(1 - CONFIDENCE) / 2)
    return {"mean": found.mean, "low": found.low, "high": found.high}
