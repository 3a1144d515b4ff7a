"""Rows as the prediction log holds them: the raw values of a row's features, in the order of its contract."""

from collections.abc import Sequence

import numpy as np

from autoops.usecase.columns import EVENT_AT, Array, Columns
from autoops.usecase.contract import Contract, Feature, Value

RawInputs = tuple[Value | None, ...]
"""The values of one row; None where a value is missing."""


def array_of(feature: Feature, values: Sequence[Value | None]) -> Array:
    """Return a feature's raw values as an array of shape (rows,): missing numbers as NaN, missing strings as None."""
    if feature.is_text:
        return np.array(values, dtype=object)
    if feature.type == "float" or (feature.nullable and None in values):
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=np.int64)


def columns_from(contract: Contract, event_at: Array, inputs: Sequence[RawInputs]) -> Columns:
    """Return logged rows by column; `event_at` is datetime64[us] in UTC, shape (rows,)."""
    by_feature = list(zip(*inputs, strict=True)) or [()] * len(contract.features)
    columns = {
        name: array_of(feature, values)
        for (name, feature), values in zip(contract.features.items(), by_feature, strict=True)
    }
    return columns | {EVENT_AT: event_at}


def inputs_from(contract: Contract, columns: Columns) -> list[RawInputs]:
    """Return the raw values of each row, for the log."""
    return list(zip(*(_plain(columns[name]) for name in contract.inputs), strict=True))


def _plain(values: Array) -> list[Value | None]:
    """Return the values as Python's own, NaN as None."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        return [None if value != value else value for value in values.tolist()]
    plain: list[Value | None] = values.tolist()
    return plain
