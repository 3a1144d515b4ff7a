"""Numbers and texts of Arrow columns, in whichever type a tool writes them.

pandas writes counts that may be missing as floats, DuckDB decimals, Polars texts as views or dictionaries. Whatever
reads tables here, months as well as trips, takes them by these functions.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def is_number(kind: pa.DataType) -> bool:
    """Tell integers, floats and decimals from the rest."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_text(kind: pa.DataType) -> bool:
    """Tell strings from the rest, as views and in dictionaries too."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def numbers(column: Any) -> npt.NDArray[np.float64]:
    """Return a column of numbers as floats, NaN where there is none."""
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def longest_text(column: Any) -> int:
    """Return the bytes of the longest string of an array of views, of which a few bytes may stand for gigabytes."""
    views = np.frombuffer(column.buffers()[1], dtype=np.int32)[4 * column.offset :: 4][: len(column)]
    valid = ~np.asarray(column.is_null().to_numpy(zero_copy_only=False))
    return int(views[valid].max(initial=0))
