"""Segments of rows: the groups in which a model may do worse while it does better overall.

`gate.segments` lists segments that the use case declares, and single values of a category as `FEATURE=VALUE`. A row is
in one band of each cut, and in as many segments as there are cuts and values that fit it.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from autoops.errors import SettingsError
from autoops.usecase.columns import Array, Columns
from autoops.usecase.contract import Contract, Feature, Segment, Value
from autoops.usecase.derived import column

Rows = npt.NDArray[np.bool_]
"""A boolean mask, shape (rows,)."""


def check_segments(contract: Contract, names: Sequence[str]) -> None:
    """Require segments that are declared, or values of a category.

    Raises:
        SettingsError: a name is neither.
    """
    for name in names:
        feature, _, value = name.partition("=")
        of_category = feature in contract.features and _may_be(contract.features[feature], value)
        if name not in contract.segments and not of_category:
            near = difflib.get_close_matches(name, contract.segments, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            declared = ", ".join(contract.segments) or "none is declared"
            raise SettingsError(
                f"gate.segments: {name!r} is no segment of {contract.name} ({declared}) and no value of a category, "
                f"such as FEATURE=VALUE{meant}"
            )


def _may_be(feature: Feature, value: str) -> bool:
    """Return whether the feature is a category that may have the value, which is as `gate.segments` writes it."""
    if not feature.is_whole:
        return feature.is_text and bool(value) and (feature.values is None or value in feature.values)
    if not re.fullmatch("-?[0-9]{1,9}", value):
        return False
    return bool(feature.contains(np.array(int(value)))) and (feature.values is None or int(value) in feature.values)


def segments_of(contract: Contract, rows: Columns, names: Sequence[str]) -> dict[str, Rows]:
    """Return the masks of the segments that `names`, a checked `gate.segments`, asks for, in its order."""
    found: dict[str, Rows] = {}
    for name in names:
        declared = contract.segments.get(name)
        if declared is not None:
            found |= _declared(contract, rows, declared)
        else:
            feature, _, value = name.partition("=")
            found[name] = rows[feature] == (int(value) if contract.features[feature].is_whole else value)
    return found


def _declared(contract: Contract, rows: Columns, segment: Segment) -> dict[str, Rows]:
    values = column(contract, segment.by, rows)
    if segment.cut is not None:
        return dict(_bands(contract, segment, values))
    named = segment.values or {f"{segment.by}={_told(value)}": value for value in _occurring(values)}
    return {name: np.asarray(values == value) for name, value in named.items()}


def _occurring(values: Array) -> list[Value]:
    present = [value for value in values.tolist() if value is not None] if values.dtype == object else values
    return [value for value in np.unique(np.asarray(present)).tolist() if value == value]


def _told(value: Value) -> Value:
    """Return the value as names of segments have it: whole numbers are floats where some row has none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bands(contract: Contract, segment: Segment, values: Array) -> Iterator[tuple[str, Rows]]:
    """Yield the bands; the first of a cyclic cut is what is below its first number and from its last one on."""
    cut = segment.cut or ()
    inside = [(values >= low) & (values < high) for low, high in pairwise(cut)]
    below, above = values < cut[0], values >= cut[-1]
    masks = [below | above, *inside] if segment.cyclic else [below, *inside, above]
    names = segment.names or _names(contract, segment)
    yield from zip(names, map(np.asarray, masks), strict=True)


def _names(contract: Contract, segment: Segment) -> list[str]:
    cut, feature = segment.cut or (), contract.features.get(segment.by)
    unit = f" {feature.unit}" if feature is not None and feature.unit else f" {segment.by}"
    between = [f"{low:g} to {high:g}{unit}" for low, high in pairwise(cut)]
    if segment.cyclic:
        return [f"{cut[-1]:g} to {cut[0]:g}{unit}", *between]
    return [f"under {cut[0]:g}{unit}", *between, f"{cut[-1]:g}{unit} and more"]
