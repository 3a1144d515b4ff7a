"""Numbers and texts of Arrow columns, in whichever type a tool writes them.

pandas writes counts that may be missing as floats, DuckDB writes decimals, Polars writes texts as views or
dictionaries. All code that reads tables, of months as well as of rows, reads their columns through these functions.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def is_number(kind: pa.DataType) -> bool:
    """Return whether the type is an integer, a float or a decimal."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether the type is a string, also as a view or in a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def decoded(column: Any) -> Any:
    """Return a column of bytes as strings, as tools that read ARFF write texts; any other one as it is."""
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return column
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowInvalid:  # no UTF-8
        return column


def numbers(column: Any) -> npt.NDArray[np.float64]:
    """Return a column of numbers as an array of shape (rows,), NaN for nulls."""
    # A safe cast fails on integers beyond 2**53, and a column with nulls needs a copy to get NaN.
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def longest_text(column: Any) -> int:
    """Return the length in bytes of the longest string in an array of string views, 0 without any.

    Views may share their bytes, so that a few bytes in a file may stand for gigabytes of text.
    """
    # A view has 16 bytes, and its first four are the length, wherever the text is stored.
    views = np.frombuffer(column.buffers()[1], dtype=np.int32)[4 * column.offset :: 4][: len(column)]
    # The view of a null may contain anything.
    valid = ~np.asarray(column.is_null().to_numpy(zero_copy_only=False))
    return int(views[valid].max(initial=0))
