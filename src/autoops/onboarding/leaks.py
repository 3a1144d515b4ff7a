"""Columns that give the target away, or only repeat the event time: a model that has them fails when it serves."""

from typing import Any

import numpy as np
import pandas as pd

from autoops.onboarding.tables import Array, Column

ENOUGH_ROWS = 50
MOST_ROWS = 20_000
MOST_SUMMANDS = 40
NEARLY = 0.995
"""A correlation, or a share of rows, from which a column says what the target is."""
ROWS_OF_EACH = 3
"""Rows of each hour, say, that a column must have the same value in to follow from it."""
_CYCLES = {"hour": 3.0, "dayofweek": 21.0, "year": 550.0, "minute": 3.0}
"""Days that show what follows from a unit of the event time."""


class Leaks:
    """What is known of the target and of the event time, to hold each column against."""

    def __init__(self, target: Column, columns: list[Column], wall: "pd.Series[Any] | None") -> None:
        self._some = np.unique(np.linspace(0, target.rows - 1, min(target.rows, MOST_ROWS)).astype(int))
        self._target, self._wall = target, None if wall is None else wall.iloc[self._some]
        self._codes = pd.Series(target.codes[self._some])
        numeric = [one for one in columns if one.kind == "number" and one.raw != target.raw][:MOST_SUMMANDS]
        self._parts = {one.raw: one.numbers[self._some] for one in numeric}
        self._truth: Array = target.numbers[self._some] if target.kind == "number" else self._codes.to_numpy(float)

    def of(self, column: Column) -> str | None:
        """Return why a column should be left out, None if nothing speaks against it."""
        if len(self._some) < ENOUGH_ROWS:
            return None
        return self._repeats_time(column) or self._tells_target(column) or self._is_summand(column)

    def _repeats_time(self, column: Column) -> str | None:
        if self._wall is None:
            return None
        wall, codes = self._wall, pd.Series(column.codes[self._some], index=self._wall.index)
        # Of times without a cycle, in which hardly any two rows have the same time of day, each follows anything.
        days, most = (wall.max() - wall.min()) / pd.Timedelta(days=1), len(codes) / ROWS_OF_EACH
        times = {unit: getattr(wall.dt, unit) for unit in ("hour", "dayofweek", "year")}
        times["minute"] = wall.dt.hour * 60 + wall.dt.minute
        for unit, of_time in times.items():
            enough = days >= _CYCLES[unit] and 1 < of_time.nunique() <= most and codes.nunique() > 1
            if enough and bool((codes.groupby(of_time).nunique() == 1).all()):
                has = "`derived` has" if unit in ("hour", "dayofweek") else "drifts by construction"
                return f"it follows from the {_UNITS[unit]} of the event time, which {has}"
        if column.kind != "number":
            return None
        values = column.numbers[self._some]
        for unit in ("year", "month", "day", "dayofyear", "quarter"):
            if np.nanmean(values == getattr(wall.dt, unit).to_numpy()) > NEARLY:
                return f"it is the {_UNITS[unit]} of the event time, which drifts by construction"
        return None

    def _tells_target(self, column: Column) -> str | None:
        if self._codes.nunique() < 2 or len(column.counts) < 2:
            return None
        codes = pd.Series(column.codes[self._some])
        if column.kind == "number" and self._target.kind == "number":
            both = pd.DataFrame({"a": column.numbers[self._some], "b": self._truth}).dropna()
            ranks = both.rank()
            if len(both) >= ENOUGH_ROWS and abs(ranks["a"].corr(ranks["b"])) > NEARLY:
                return f"it nearly is the target {self._target.raw}: will it be known when a model predicts?"
        # Values that occur often enough that their target is no chance.
        if codes.nunique() > len(codes) / 20 or self._codes.nunique() > 20:
            return None
        table = pd.crosstab(codes, self._codes)
        told, base = table.max(axis=1).sum() / len(codes), self._codes.value_counts(normalize=True).iloc[0]
        if base < NEARLY and 1 - told < (1 - base) * (1 - NEARLY):
            return f"each of its values has one {self._target.raw}: will it be known when a model predicts?"
        return None

    def _is_summand(self, column: Column) -> str | None:
        if column.raw not in self._parts or self._target.kind != "number" or self._codes.nunique() < 20:
            return None
        rest = self._truth - self._parts[column.raw]
        for raw, values in self._parts.items():
            if raw != column.raw and values.any() and np.allclose(rest, values, rtol=1e-9, atol=1e-9):
                return f"{column.raw} + {raw} is the target {self._target.raw}"
        return None


_UNITS = {
    "hour": "hour",
    "minute": "time of day",
    "dayofweek": "day of the week",
    "year": "year",
    "month": "month",
    "day": "day of the month",
    "dayofyear": "day of the year",
    "quarter": "quarter",
}
