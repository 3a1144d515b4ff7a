"""Event times that are put together from columns."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from autoops.errors import SchemaError
from autoops.ingestion.time_parts import with_times
from autoops.usecase.contract import TimeParts


@pytest.mark.parametrize(
    ("parts", "columns"),
    [
        (
            {"year": "y", "month": "m", "day": "d", "hour": "h"},
            {"y": [2026, 2026], "m": [2, 2], "d": [3, 31], "h": [14, 1]},
        ),
        ({"date": "day", "hour": "h", "minute": "i"}, {"day": ["2026-02-03", "x"], "h": ["14", " 2"], "i": [0.0, 5.0]}),
        ({"date": "day", "half_hour": "p"}, {"day": [20260203, 20260231], "p": [28, 2]}),
        ({"date": "day", "hour": "h"}, {"day": [pd.Timestamp("2026-02-03"), None], "h": [14, 2]}),
        ({"date": "day", "hour": "h"}, {"day": ["2026-02-02", "2026-02-02"], "h": [38, None]}),
    ],
)
def test_parts_make_times_and_what_is_none_makes_no_time(parts: dict[str, str], columns: dict[str, Any]) -> None:
    made = with_times(TimeParts.model_validate(parts), "at", pa.table(columns), "a.csv")
    assert made["at"].to_pandas().tolist() == [pd.Timestamp("2026-02-03 14:00"), pd.NaT]


def test_a_part_that_is_no_number_is_named() -> None:
    table = pa.table({"day": [20260203], "h": ["noon"]})
    with pytest.raises(SchemaError, match=r"^a.csv: column h, a part of the event time, is no number: .*noon"):
        with_times(TimeParts(date="day", hour="h"), "at", table, "a.csv")
    table = pa.table({"day": [20260203], "h": [True]})
    with pytest.raises(SchemaError, match=r"^a.csv: column h, a part of the event time, is bool, expected a number"):
        with_times(TimeParts(date="day", hour="h"), "at", table, "a.csv")


@pytest.mark.parametrize("parts", [{"year": "y", "hour": "h"}, {"date": "d", "year": "y"}, {"hour": "h"}])
def test_a_day_takes_a_date_or_all_of_year_month_and_day(parts: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="expected date, or year, month and day"):
        TimeParts.model_validate(parts)
