"""Event times that a table has in parts: year, month, day and hour, or a date and an hour, each a column."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from autoops.errors import SchemaError
from autoops.ingestion.time_parts import times_of
from autoops.onboarding.tables import Column
from autoops.usecase.contract import TimeParts

_DATE = re.compile(r"date|(?<![a-z])(ymd|day)(?![a-z])", re.IGNORECASE)
_PARTS = {
    "year": (r"years?|yyyy", 1900, 2098),
    "month": (r"months?|mnth|mm", 1, 12),
    "day": (r"days?|dd|day_?of_?month|dom", 1, 31),
    "hour": (r"hours?|hrs?|hh|hour_?of_?day", 0, 24),
    "half_hour": (r"period|half_?hours?|settlement_?period|slot|interval", 0, 47),
    "minute": (r"minutes?|mins?", 0, 59),
}
"""Names of parts, and the least and the greatest value of each."""


def found_in(
    columns: Mapping[str, Column], times: Mapping[str, "pd.Series[Any]"], named: str | None
) -> TimeParts | None:
    """Return the parts of an event time, None if the table has none or better has a column of whole times.

    `named` is a column of dates that a person wants as event time.
    """
    possible: Mapping[str, str | None]
    units = {unit: _of_unit(columns, unit) for unit in _PARTS}
    dates = [raw for raw, found in times.items() if _is_date(found)]
    if named is not None or dates or times:
        chosen = named or (dates[0] if dates and len(dates) == len(times) else None)
        possible = {"date": chosen} if chosen in dates and _repeats(times[chosen]) else {}
    else:
        whole = [raw for raw, column in columns.items() if _DATE.search(raw) and _is_whole_date(column)]
        of_day = {unit: units[unit] for unit in ("year", "month", "day")}
        possible = {"date": whole[0]} if whole else of_day if all(of_day.values()) else {}
    if not possible or (named is not None and not units["hour"] and not units["half_hour"]):
        return None
    by_clock = ("hour", "minute") if units["hour"] else ("half_hour",)
    clock = {unit: units[unit] for unit in by_clock}
    if "date" in possible and times and not any(clock.values()):
        return None
    parts = TimeParts.model_validate({unit: raw for unit, raw in {**possible, **clock}.items() if raw})
    return parts if _makes_times(parts, columns) else None


def wall_of(parts: TimeParts, columns: Mapping[str, Column]) -> "pd.Series[Any]":
    """Return the times that the parts make, on their own wall clock, NaT for none.

    Raises:
        SchemaError: a part has another type than one of numbers.
    """
    return times_of(parts, pa.table({raw: columns[raw].data for raw in parts.columns}), "the file")


def _makes_times(parts: TimeParts, columns: Mapping[str, Column]) -> bool:
    try:
        return bool(wall_of(parts, columns).notna().mean() > 0.9)
    except (SchemaError, ValueError, OverflowError):
        return False


def _of_unit(columns: Mapping[str, Column], unit: str) -> str | None:
    names, least, most = _PARTS[unit]
    for raw, column in columns.items():
        fits = re.fullmatch(names, raw.strip(), re.IGNORECASE) and column.kind == "number" and len(column.finite) > 0
        if fits and _is_within(column, least, most) and not (unit == "day" and column.finite.max() <= 7):
            return raw
    return None


def _is_within(column: Column, least: float, most: float) -> bool:
    values = column.finite
    return bool(least <= values.min() and values.max() <= most and (values == np.trunc(values)).all())


def _is_whole_date(column: Column) -> bool:
    return column.kind == "number" and len(column.finite) > 0 and _is_within(column, 19_000_101, 20_981_231)


def _is_date(found: "pd.Series[Any]") -> bool:
    some = found.dropna()
    return len(some) > 0 and bool((some == some.dt.normalize()).all())


def _repeats(found: "pd.Series[Any]") -> bool:
    """Return whether days occur more often than once: the rows of a day have a time."""
    return bool(found.nunique() < found.notna().sum() / 2)
