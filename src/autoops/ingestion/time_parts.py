"""Event times from columns that hold parts of them: year, month, day and hour, or a date and an hour."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from autoops.arrow_values import is_number, is_text, numbers
from autoops.errors import SchemaError
from autoops.usecase.columns import Array
from autoops.usecase.contract import TimeParts

_SECONDS = {"hour": 3_600, "half_hour": 1_800, "minute": 60}


def times_of(parts: TimeParts, table: pa.Table, file: str) -> "pd.Series[Any]":
    """Return the wall clock of each row, naive, NaT where a part is missing or none of a time.

    Raises:
        SchemaError: a part has another type than one of numbers; the message names the column.
    """
    if parts.date:
        days = _days(parts.date, table, file)
    else:
        names = {"year": parts.year, "month": parts.month, "day": parts.day}
        found = {unit: _numbers(name, table, file) for unit, name in names.items() if name}
        days = pd.to_datetime(pd.DataFrame(found), errors="coerce")
    times = days.astype("datetime64[us]")
    for unit, seconds in _SECONDS.items():
        if name := getattr(parts, unit):
            # An hour of 24 is the first one of the next day.
            times = times + pd.to_timedelta(_numbers(name, table, file) * seconds, unit="s").round("us")
    return times


def with_times(parts: TimeParts, name: str, table: pa.Table, file: str) -> pa.Table:
    """Return the table with the event times as the column `name`, in place of one that has this name."""
    times = pa.array(times_of(parts, table, file), pa.timestamp("us"), from_pandas=True)
    kept = table.drop_columns([name]) if name in table.column_names else table
    return kept.append_column(name, times)


def _numbers(name: str, table: pa.Table, file: str) -> Array:
    column = table[name].combine_chunks()
    try:
        if is_text(column.type):
            column = pc.cast(pc.utf8_trim_whitespace(pc.cast(column, pa.string())), pa.float64())
        if is_number(column.type):
            return numbers(column)
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{file}: column {name}, a part of the event time, is no number: {error}") from error
    raise SchemaError(f"{file}: column {name}, a part of the event time, is {column.type}, expected a number")


def _days(name: str, table: pa.Table, file: str) -> "pd.Series[Any]":
    """Return dates of a column of dates, of ISO 8601 text or of whole numbers such as 20230131."""
    column = table[name].combine_chunks()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return pd.Series(pc.cast(column, pa.timestamp("us")).to_pandas())
    if is_text(column.type):
        texts = pd.Series(column.to_pylist(), dtype=object)
        return pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True).dt.tz_localize(None)
    values = pd.Series(_numbers(name, table, file))
    possible = values.where(values.between(19_000_101, 20_991_231) & (values == np.trunc(values)))
    return pd.to_datetime(possible.astype("Int64").astype("string"), errors="coerce", format="%Y%m%d")
