"""Guesses of a draft: what a column may be, by its name and its values, and what its event times show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log10
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from autoops.ingestion import quality
from autoops.ingestion.profile import Profile
from autoops.onboarding.tables import Column
from autoops.usecase.contract import EXACT_BELOW, Value

Spec = dict[str, Value]
"""The keys of a part of the declaration."""

POSITIVE = ("true", "yes", "y", "t", "up", "positive", "pos", "success", "won", "win", "churn", "churned", "cancelled",
            "canceled", "fraud", "default", "bad", "failed", "spam")  # fmt: skip
"""Names that the positive one of two values often has, the likeliest first."""

ENOUGH_ROWS = 20
"""With fewer rows a constant column, two values or distinct values say little."""
MOST_CATEGORIES, LONGEST_CATEGORY = 1_000, 200
WHOLE = 0.85
"""A month with a smaller share of the rows of the usual one may be a part of one."""
FARTHEST = 1e30
"""Numbers beyond it overflow in float32, the type of model inputs."""

_SIGNED = re.compile(
    r"°|(?<![a-z])(a?temp\w*|degrees?|celsius|dew\w*|chill|feels|change|delta|diff\w*|net|balance|profit|margin|return|"
    r"lat|latitude|lon|lng|longitude|residual)(?![a-z])",
    re.IGNORECASE,
)
"""Names of columns that may be negative, even if none is in the table."""
_CODE = re.compile(r"id$|code|type|agent|company|zone|location|store|station|(?<![a-z])(nr|no)$", re.IGNORECASE)
"""Names of columns whose numbers may have no order."""


@dataclass(frozen=True)
class Span:
    """The event times of the table, on their own wall clock.

    `hours` is whether they have a time of day. `whole_months` are those with as many rows as usual, such as 2023-01.
    `empty_days` is the largest number of days of a month that are empty by the rules of quality.
    """

    first: pd.Timestamp
    last: pd.Timestamp
    rows: int
    hours: bool
    step: str
    whole_months: tuple[str, ...] = ()
    empty_days: int = 0

    @property
    def days(self) -> float:
        """Return the days from the first to the last time, at least one."""
        return max((self.last - self.first) / pd.Timedelta(days=1), 1.0)

    @property
    def months(self) -> int:
        """Return the number of calendar months that the times touch."""
        return (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1

    def __str__(self) -> str:
        per_day = self.rows / self.days
        return f"{self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}, {per_day:,.1f} rows a day, mostly {self.step}"


def may_be_target(column: Column) -> bool:
    """Return whether a column has numbers, or two values."""
    if column.kind == "number":
        return bool(len(column.finite))
    return column.kind == "bool" or (column.kind == "text" and len(column.counts) == 2)


def is_binary(column: Column) -> bool:
    """Return whether a target has two values, and no amounts."""
    if column.kind != "number":
        return True
    values = sorted(column.counts)
    whole = all(float(value).is_integer() for value in values)
    return values == [0, 1] or (len(values) == 2 and whole and column.rows >= ENOUGH_ROWS)


def positive(column: Column) -> tuple[Value, Value]:
    """Return the value of a binary target that counts as 1, and the other one."""
    if column.kind == "bool":
        return True, False
    if column.kind == "number":
        least, most = sorted(int(value) for value in column.counts)
        return most, least
    first, second = column.counts
    named = [value for wanted in POSITIVE for value in (first, second) if value.strip().lower() == wanted]
    positive = named[0] if named else second
    return positive, first if positive == second else second


def time_zone(column: Column) -> tuple[str, str]:
    """Return the time zone of a column of times, and what a person must know of it."""
    zone = getattr(column.data.type, "tz", None)
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (OSError, LookupError, ValueError):
            return "UTC", f"the file says {zone}, which is no name of a zone"
        return zone, "" if zone != "UTC" else "the times are in UTC; is the wall clock of the rows another?"
    has_offset = column.kind == "text" and any(re.search(r"(Z|[+-]\d\d:?\d\d)$", str(one)) for one in column.counts)
    return "UTC", "the times have offsets" if has_offset else "the times have no zone; on which wall clock are they?"


def span_of(times: "pd.Series[Any]") -> Span:
    """Return what event times on their own wall clock show; there is at least one."""
    ordered = times.sort_values()
    # Without the outermost thousandths: a wrong clock must not make a month a decade.
    strays = len(ordered) // 1000
    ordered = ordered.iloc[strays : len(ordered) - strays]
    gaps = ordered.drop_duplicates().diff().dropna()
    step = pd.Timedelta(gaps.median()) if len(gaps) else pd.Timedelta(0)
    hours = bool((ordered != ordered.dt.normalize()).any())
    rows = times.dt.strftime("%Y-%m").value_counts().sort_index()
    whole = tuple(rows.index[rows >= WHOLE * rows.median()])
    empty = _empty_days(ordered)
    return Span(ordered.iloc[0], ordered.iloc[-1], len(ordered), hours, f"{_told_step(step)} apart", whole, empty)


def _empty_days(ordered: "pd.Series[Any]") -> int:
    """Return the most days of a month that quality takes for empty, without those before the first row of the table."""
    days = ordered.to_numpy("datetime64[D]")
    most, profiles = 0, list[Profile]()
    for month in np.unique(days.astype("datetime64[M]")):
        first, end = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
        of_month = days[np.searchsorted(days, first) : np.searchsorted(days, end)]
        counts = np.bincount((of_month - first).astype(int), minlength=int((end - first).astype(int))).tolist()
        # The epoch was a Thursday.
        profile = Profile(len(of_month), days=tuple(counts), weekday=int(first.astype(int) + 3) % 7)
        most = max(most, sum(first + day > days[0] for day in quality.empty_days(profile, profiles)))
        profiles.append(profile)
    return most


def _told_step(step: pd.Timedelta) -> str:
    seconds = step.total_seconds()
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:g} {unit if seconds != size else unit[:-1]}"
    return f"{seconds:g} seconds"


def calendar(span: Span) -> Iterator[tuple[str, str]]:
    """Yield the calendar features that the times are enough for, each with the reason."""
    if span.hours and span.days >= 2:
        yield "hour_of_day", "the times have hours"
    if span.days >= 14:
        yield "day_of_week", "two weeks or more"
    if span.days > 400:
        yield "month_of_year", "more than a year; it may hurt across a new one"


def seasonality(span: Span | None) -> tuple[str, str]:
    """Return the cycle of ordinary days that drift should know, and the reason."""
    if span is None or span.days < 14:
        return "none", "too few days to know a cycle"
    if span.hours:
        return "hour_of_week", "the times have hours"
    return "day_of_week", "the times are days"


def is_id(column: Column) -> bool:
    """Return whether a column of distinct values names its rows."""
    if column.kind == "text":
        return True
    if not column.is_whole:
        return False
    span = column.finite.max() - column.finite.min()
    named = re.search(r"(^|[_\W])(id|uuid|key|nr|no|number|index)$|Id$|ID$", column.raw)
    return bool(span == column.rows - 1 or named or np.abs(column.finite).max() >= EXACT_BELOW)


def left_out_text(column: Column, known: int) -> str:
    """Return why texts are no categories, empty if they are; `known` rows have one."""
    distinct = len(column.counts)
    longest = max(map(len, column.counts))
    if longest > LONGEST_CATEGORY or any(re.search(r"[\x00-\x1f\x7f]", value) for value in column.counts):
        return f"text of up to {longest} characters is no category"
    if distinct > MOST_CATEGORIES or (distinct > known / 2 and known >= ENOUGH_ROWS):
        return f"{distinct} different texts in {known} rows are no categories"
    return ""


def feature(column: Column) -> tuple[Spec, list[str]]:
    """Return the keys of a feature, and what was guessed."""
    if column.kind == "text":
        told = ", ".join(repr(value) for value in list(column.counts)[:3])
        return {"type": "category"}, [f"{len(column.counts)} values, such as {told}; `values` would refuse all others"]
    if column.kind == "bool":
        return {"type": "bool"}, []
    values = column.finite
    if sorted(column.counts) == [0, 1]:
        return {"type": "bool"}, ["0 and 1 only"]
    least, most = float(values.min()), float(values.max())
    if column.is_whole and max(abs(least), abs(most)) < EXACT_BELOW:
        spec: Spec = {"type": "int"}
        whys = [f"{_short(least)} to {_short(most)}"]
    else:
        spec = {"type": "float"}
        whys = [f"{_short(least)} to {_short(most)}"]
        if column.is_whole:
            whys.append(f"models do not tell whole numbers from {EXACT_BELOW} on apart; is it an amount, or an id?")
    if _CODE.search(column.raw) and least >= 0 and most < EXACT_BELOW and (values == np.trunc(values)).all():
        whys.append("a code without order would be {type: category, of: int}")
    limit = 10.0 ** ceil(log10(10 * max(abs(least), abs(most), 0.1)))
    if spec["type"] == "int":
        limit = min(limit, float(EXACT_BELOW - 1))
    return spec | {"at_least": -_number(limit) if may_be_negative(column) else 0, "at_most": _number(limit)}, whys


def may_be_negative(column: Column) -> bool:
    """Return whether a number is negative, or may be at another time: a summer has no frost."""
    return bool(column.finite.min() < 0 or _SIGNED.search(column.raw))


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _short(value: float) -> str:
    return f"{value:.6g}"


def example(column: Column) -> str:
    """Return the column's most frequent value for a message, empty if it has none."""
    return f", such as {next(iter(column.counts))!r}" if column.counts else ""
