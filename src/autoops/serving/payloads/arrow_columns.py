"""The contract's columns in Arrow, checked like single rows: types by the schema, bounds for all rows at once."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from autoops.arrow_values import is_number, is_text, longest_text, numbers
from autoops.serving.payloads.batch import Batch, filled
from autoops.serving.payloads.row_models import RowModels
from autoops.serving.payloads.timestamps import Timestamps
from autoops.serving.payloads.validation_errors import UNKNOWN_FIELD, ValidationErrors
from autoops.usecase.columns import Array
from autoops.usecase.contract import Bounds, Feature

NO_VALUE = "expected a value, got null"
_REQUEST_ID = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_CATEGORY = re.compile(r"[^\x00-\x1f\x7f]{0,200}")
_Type = Callable[[pa.DataType], bool]


def _is_moment(kind: pa.DataType) -> bool:
    """Return whether the type is a timestamp or a string.

    Reads the time zone already here, while the schema is checked.

    Raises:
        UnicodeDecodeError: the name of the time zone is not valid text.
    """
    return bool(pa.types.is_timestamp(kind) and kind.tz != "") or is_text(kind)


_LONGEST_TEXT = 1000
"""Maximum bytes of a text; an id or a category has 200 characters at most."""


class ArrowColumns:
    """The columns that a use case has in Arrow: `columns` by name, with a test of their type and the type in words."""

    def __init__(self, models: RowModels) -> None:
        contract = self._contract = models.contract
        self._timestamps = models.timestamps
        self._event_column = contract.event_time.column
        self.columns: dict[str, tuple[_Type, str]] = {
            self._event_column: (_is_moment, "timestamps or ISO 8601 strings")
        }
        self.columns |= {name: _kind_of(feature) for name, feature in contract.features.items()}
        self.columns |= {"request_id": (is_text, "strings")}
        now = contract.event_time.default == "now"
        self.required = (*(() if now else (self._event_column,)), *models.required)
        self._optional = frozenset(self.columns) - frozenset(self.required)

    def check_schema(self, schema: pa.Schema, required: Sequence[str] | None = None, file: bool = False) -> None:
        """Require that the columns are those of the contract; a `file` may have others, and dictionaries.

        Raises:
            InvalidRows: columns are missing, there twice, of the wrong type, unknown or dictionaries; it names each.
        """
        errors = ValidationErrors()
        for name in self.required if required is None else required:
            if name not in schema.names:
                errors.column(name, "Field required")
        for name in dict.fromkeys(schema.names):
            self._check_column(schema, name, file, errors)
        errors.check()

    def _check_column(self, schema: pa.Schema, name: str, file: bool, errors: ValidationErrors) -> None:
        if name not in self.columns:
            if not file:
                errors.column(name, UNKNOWN_FIELD)
            return
        positions = schema.get_all_field_indices(name)
        if len(positions) > 1:
            errors.column(name, f"expected one column of this name, got {len(positions)}")
            return
        fits, expected = self.columns[name]
        kind = schema.field(positions[0]).type
        values = kind.value_type if file and pa.types.is_dictionary(kind) else kind
        if pa.types.is_dictionary(kind) and not file:
            errors.column(name, f"expected {expected} as they are, got {kind}")
        elif not (fits(values) or (pa.types.is_null(kind) and name in self._optional)):
            errors.column(name, f"expected {expected}, got {kind}")

    def batch_of(self, table: pa.Table, errors: ValidationErrors) -> Batch:
        """Return the rows of a table whose schema is checked.

        Raises:
            InvalidRows: rows are outside the contract.
        """
        batch = Batch(
            self._moments(table, errors),
            {name: self._values(table, name, feature, errors) for name, feature in self._contract.features.items()},
            _request_ids(table, errors),
        )
        errors.check()
        return batch

    def _values(self, table: pa.Table, name: str, feature: Feature, errors: ValidationErrors) -> Array:
        if feature.is_text:
            return _categories(table, name, feature, errors)
        if feature.type == "bool":
            return _booleans(table, name, feature, errors)
        return _numbers(table, name, feature, errors)

    def _moments(self, table: pa.Table, errors: ValidationErrors) -> Timestamps:
        name = self._event_column
        column = _column(table, name)
        if column is None:
            if name in self.required:
                errors.rows(name, np.ones(table.num_rows, dtype=bool), NO_VALUE)
            return np.full(table.num_rows, "NaT", dtype="datetime64[us]")
        if not pa.types.is_timestamp(column.type):
            texts = _texts(column, name, errors)
            at, refused = self._timestamps.parse_texts(texts)
            errors.each(name, refused)
            missing = np.array([text is None for text in texts])
        else:
            missing = _nulls(column)
            counts = pc.cast(column, pa.int64()).fill_null(0).to_numpy()
            moments, fine = self._timestamps.from_arrow(counts, column.type.unit, naive=column.type.tz is None)
            errors.rows(name, ~fine & ~missing, self._timestamps.out_of_range)
            at = np.where(missing, np.datetime64("NaT"), moments)
        if name in self.required:
            errors.rows(name, missing, NO_VALUE)
        return at


def _kind_of(feature: Feature) -> tuple[_Type, str]:
    if feature.is_text:
        return is_text, "strings"
    if feature.type == "bool":
        return pa.types.is_boolean, "booleans"
    return is_number, "numbers" if feature.type == "float" else "whole numbers"


def _column(table: pa.Table, name: str) -> Any:
    """Return the column as one array, None if it is missing or has no values."""
    if name not in table.column_names or table[name].null_count == table.num_rows:
        return None
    return table[name].combine_chunks()


def _nulls(column: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False))


def _numbers(table: pa.Table, name: str, feature: Feature, errors: ValidationErrors) -> Array:
    """Return the values, of shape `(rows,)`, 0 where one is missing or invalid."""
    column = _column(table, name)
    if column is None:
        if not feature.nullable:
            errors.rows(name, np.ones(table.num_rows, dtype=bool), NO_VALUE)
        return filled(feature, [None] * table.num_rows) if feature.nullable else np.zeros(table.num_rows)
    values = numbers(column)
    # A tool that has no integers with nulls, such as pandas, writes NaN for them.
    missing = np.isnan(values) if feature.nullable else _nulls(column)
    if not feature.nullable:
        errors.rows(name, missing, NO_VALUE)
    fine = feature.contains(values) & np.isfinite(values)
    errors.rows(name, ~fine & ~missing, f"expected {_told(feature)}" if feature.bounded else "expected a finite number")
    values = np.where(fine, values, 0)
    whole = feature.type == "int" or feature.is_whole
    if whole:
        errors.rows(name, values != np.trunc(values), "expected a whole number")
        if feature.values is not None:
            known = np.isin(values, np.array(feature.values))
            errors.rows(name, ~known & fine, f"expected one of {', '.join(map(str, feature.values))}")
    if feature.stands_for is not None:
        values = np.where(missing, feature.stands_for, values)
        missing = np.zeros(len(values), dtype=bool)
    if missing.any():
        return np.where(missing, np.nan, values)
    return values.astype(np.int64) if whole else values


def _booleans(table: pa.Table, name: str, feature: Feature, errors: ValidationErrors) -> Array:
    column = _column(table, name)
    values = [None] * table.num_rows if column is None else column.to_pylist()
    if not feature.nullable:
        errors.rows(name, np.array([value is None for value in values]), NO_VALUE)
        values = [bool(value) for value in values]
    return filled(feature, values)


def _categories(table: pa.Table, name: str, feature: Feature, errors: ValidationErrors) -> Array:
    column = _column(table, name)
    values = [None] * table.num_rows if column is None else _texts(column, name, errors)
    if not feature.nullable:
        errors.rows(name, np.array([value is None for value in values]), NO_VALUE)
    if feature.values is None:
        bad = [value is not None and _CATEGORY.fullmatch(value) is None for value in values]
        errors.rows(name, np.array(bad), "expected at most 200 printable characters")
    else:
        allowed = frozenset(feature.values)
        bad = [value is not None and value not in allowed for value in values]
        errors.rows(name, np.array(bad), f"expected one of {', '.join(map(str, feature.values))}")
    return filled(feature, values)


def _told(bounds: Bounds) -> str:
    low = f"more than {bounds.above:g}" if bounds.above is not None else None
    low = f"at least {bounds.at_least:g}" if bounds.at_least is not None else low
    high = f"less than {bounds.below:g}" if bounds.below is not None else None
    high = f"at most {bounds.at_most:g}" if bounds.at_most is not None else high
    return " and ".join(filter(None, (low, high)))


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
        InvalidRows: a view is longer than `_LONGEST_TEXT`.
    """
    if pa.types.is_string_view(column.type) and (longest := longest_text(column)) > _LONGEST_TEXT:
        errors.column(name, f"expected at most {_LONGEST_TEXT} bytes, got {longest}")
        errors.check()
    found: list[str | None] = column.to_pylist()
    return found
