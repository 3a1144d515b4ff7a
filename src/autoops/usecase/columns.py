"""The form of rows inside Auto-Ops, whatever the use case calls its columns.

A frame has one row per row of the use case: `event_at`, the features that the use case declares and, where they are
known, `target` and `prediction`. Columns are the same as numpy arrays.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy.typing as npt

Array = npt.NDArray[Any]

EVENT_AT: Final = "event_at"
"""Event time: UTC-aware with microseconds in frames, datetime64[us] in UTC in columns."""
TARGET: Final = "target"
PREDICTION: Final = "prediction"
PART: Final = "part"
"""In a version's reference: "window" for rows that the model was fitted on, "holdout" for rows that it never saw."""
CROSS_FITTED: Final = "cross_fitted"
"""In a sparse table's history: the predictions of models that were fitted without a row's own week."""
RESERVED = frozenset({EVENT_AT, TARGET, PREDICTION, PART, CROSS_FITTED})
"""Names that no feature may have."""

Columns = Mapping[str, Array]
"""Rows by column, arrays of shape (rows,)."""


def columns_of(frame: Any) -> Columns:
    """Return event time and features of a DataFrame as numpy arrays of shape (rows,); a missing string is None."""
    columns = {name: _array(frame[name]) for name in frame.columns if name not in RESERVED}
    return columns | {EVENT_AT: frame[EVENT_AT].dt.tz_localize(None).to_numpy(dtype="datetime64[us]")}


def _array(values: Any) -> Array:
    """Return a column of a DataFrame, with None where pandas has another value for none, such as NaN in strings."""
    array: Array = values.to_numpy()
    if array.dtype != object:
        return array
    array = array.copy()
    array[values.isna().to_numpy()] = None
    return array
