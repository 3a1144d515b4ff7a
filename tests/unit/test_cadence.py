"""How many rows a day a table has."""

import numpy as np
import pytest

from autoops.cadence import rows_per_day


def hours(count: int) -> np.ndarray:
    return np.datetime64("2023-01-01T00:00", "us") + np.arange(count) * np.timedelta64(1, "h")


def test_a_table_of_hours_has_24_rows_a_day() -> None:
    assert rows_per_day(hours(2_000)) == pytest.approx(24, rel=0.001)


def test_a_row_of_another_century_changes_nothing() -> None:
    strays = np.array(["1970-01-01", "2098-01-01"], dtype="datetime64[us]")
    assert rows_per_day(np.concatenate([hours(2_000), strays])) == pytest.approx(24, rel=0.01)


def test_less_than_a_day_counts_as_a_day() -> None:
    assert rows_per_day(hours(6)) == 6
    assert rows_per_day(hours(0)) == 0
