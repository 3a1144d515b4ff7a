"""The contract's columns in Arrow, checked like single trips: types by the schema, bounds for all rows at once."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from autoops.arrow_values import is_number, is_text, longest_text, numbers
from autoops.serving.payloads import timestamps
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.timestamps import OUT_OF_RANGE
from autoops.serving.payloads.validation_errors import UNKNOWN_FIELD, ValidationErrors
from autoops.trips import DISTANCE_MILES, LOCATION_ID, PASSENGER_COUNT, Bounds

NO_VALUE = "expected a value, got null"
_REQUEST_ID = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_Type = Callable[[pa.DataType], bool]


def _is_moment(kind: pa.DataType) -> bool:
    """Return whether the type is a timestamp or a string.

    Reads the time zone already here, while the schema is checked.

    Raises:
        UnicodeDecodeError: the name of the time zone is not valid text.
    """
    return bool(pa.types.is_timestamp(kind) and kind.tz != "") or is_text(kind)


COLUMNS: dict[str, tuple[_Type, str]] = {
    "pickup_at": (_is_moment, "timestamps or ISO 8601 strings"),
    "trip_distance": (is_number, "numbers"),
    "passenger_count": (is_number, "whole numbers"),
    "pickup_location_id": (is_number, "whole numbers"),
    "dropoff_location_id": (is_number, "whole numbers"),
    "request_id": (is_text, "strings"),
}
REQUIRED = ("trip_distance", "pickup_location_id", "dropoff_location_id")
_OPTIONAL = frozenset(COLUMNS) - frozenset(REQUIRED)
_LONGEST_TEXT = 1000
"""Maximum bytes of a text; an id has 200 characters at most."""


def check_schema(schema: pa.Schema, required: tuple[str, ...] = REQUIRED, file: bool = False) -> None:
    """Require that the columns are those of the contract; a `file` may have others, and dictionaries.

    Raises:
        InvalidTrips: columns are missing, there twice, of the wrong type, unknown or dictionaries; it names each.
    """
    errors = ValidationErrors()
    for name in required:
        if name not in schema.names:
            errors.column(name, "Field required")
    for name in dict.fromkeys(schema.names):
        _check_column(schema, name, file, errors)
    errors.check()


def _check_column(schema: pa.Schema, name: str, file: bool, errors: ValidationErrors) -> None:
    if name not in COLUMNS:
        if not file:
            errors.column(name, UNKNOWN_FIELD)
        return
    positions = schema.get_all_field_indices(name)
    if len(positions) > 1:
        errors.column(name, f"expected one column of this name, got {len(positions)}")
        return
    fits, expected = COLUMNS[name]
    kind = schema.field(positions[0]).type
    if pa.types.is_dictionary(kind) and not file:
        errors.column(name, f"expected {expected} as they are, got {kind}")
    elif not (fits(kind) or (pa.types.is_null(kind) and name in _OPTIONAL)):
        errors.column(name, f"expected {expected}, got {kind}")


def batch_of(table: pa.Table, errors: ValidationErrors) -> Batch:
    """Return the trips of a table whose schema is checked.

    Raises:
        InvalidTrips: rows are outside the contract.
    """
    batch = Batch(
        _moments(table, errors),
        _numbers(table, "trip_distance", DISTANCE_MILES, errors),
        _whole_numbers(table, "passenger_count", PASSENGER_COUNT, errors),
        _whole_numbers(table, "pickup_location_id", LOCATION_ID, errors),
        _whole_numbers(table, "dropoff_location_id", LOCATION_ID, errors),
        _request_ids(table, errors),
    )
    errors.check()
    return batch


def _column(table: pa.Table, name: str) -> Any:
    """Return the column as one array, None if it is missing or has no values."""
    if name not in table.column_names or table[name].null_count == table.num_rows:
        return None
    return table[name].combine_chunks()


def _nulls(column: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False))


def _numbers(table: pa.Table, name: str, bounds: Bounds, errors: ValidationErrors) -> npt.NDArray[np.float64]:
    """Return the values, of shape `(rows,)`, 0 where one is missing or invalid."""
    column = _column(table, name)
    optional = name in _OPTIONAL
    if column is None:
        if not optional:
            errors.rows(name, np.ones(table.num_rows, dtype=bool), NO_VALUE)
        return np.zeros(table.num_rows)
    values = numbers(column)
    # A tool that has no integers with nulls, such as pandas, writes NaN for them.
    missing = np.isnan(values) if optional else _nulls(column)
    if not optional:
        errors.rows(name, missing, NO_VALUE)
    fine = bounds.contains(values)
    errors.rows(name, ~fine & ~missing, _expected(bounds))
    return np.where(fine, values, 0)


def _whole_numbers(table: pa.Table, name: str, bounds: Bounds, errors: ValidationErrors) -> npt.NDArray[np.int16]:
    values = _numbers(table, name, bounds, errors)
    errors.rows(name, values != np.trunc(values), "expected a whole number")
    return values.astype(np.int16)


def _expected(bounds: Bounds) -> str:
    low = f"more than {bounds.low:g}" if bounds.low_open else f"at least {bounds.low:g}"
    high = f"less than {bounds.high:g}" if bounds.high_open else f"at most {bounds.high:g}"
    return f"expected {low} and {high}"


def _moments(table: pa.Table, errors: ValidationErrors) -> timestamps.Timestamps:
    column = _column(table, "pickup_at")
    if column is None:
        return np.full(table.num_rows, "NaT", dtype="datetime64[us]")
    if not pa.types.is_timestamp(column.type):
        at, refused = timestamps.parse_texts(_texts(column, "pickup_at", errors))
        errors.each("pickup_at", refused)
        return at
    missing = _nulls(column)
    # numpy has no integers with nulls; `missing` masks the zeros.
    counts = pc.cast(column, pa.int64()).fill_null(0).to_numpy()
    # A timestamp with a zone counts in UTC, whichever zone it is.
    at, fine = timestamps.from_arrow(counts, column.type.unit, naive=column.type.tz is None)
    errors.rows("pickup_at", ~fine & ~missing, OUT_OF_RANGE)
    return np.where(missing, np.datetime64("NaT"), at)


def _request_ids(table: pa.Table, errors: ValidationErrors) -> list[str | None] | None:
    column = _column(table, "request_id")
    if column is None:
        return None
    names = _texts(column, "request_id", errors)
    bad = [name is not None and _REQUEST_ID.fullmatch(name) is None for name in names]
    errors.rows("request_id", np.array(bad), "expected 1 to 200 printable characters")
    return names


def _texts(column: Any, name: str, errors: ValidationErrors) -> list[str | None]:
    """Return the texts of a column.

    Views of strings may share bytes, so their lengths are checked before they become Python objects.

    Raises:
        InvalidTrips: a view is longer than `_LONGEST_TEXT`.
    """
    if pa.types.is_string_view(column.type) and (longest := longest_text(column)) > _LONGEST_TEXT:
        errors.column(name, f"expected at most {_LONGEST_TEXT} bytes, got {longest}")
        errors.check()
    found: list[str | None] = column.to_pylist()
    return found
