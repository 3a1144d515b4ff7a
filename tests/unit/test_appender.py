from dataclasses import asdict, astuple, fields, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import sqlalchemy as sa

from autoops.storage import tables
from autoops.storage.appender import SqliteAppender
from autoops.storage.predictions import LoggedPrediction

NAMES = [field.name for field in fields(LoggedPrediction)]
NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = [
    datetime(2023, 3, 12, 1, 59, 59, 999_999, tzinfo=NEW_YORK),
    datetime(2023, 11, 5, 1, 30, tzinfo=NEW_YORK, fold=1),
    datetime(2009, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
    *(NOW + timedelta(microseconds=n) for n in range(600)),
]


@pytest.fixture
def appender(engine: sa.Engine) -> SqliteAppender:
    return SqliteAppender(engine, [tables.predictions.c[name] for name in NAMES], unique="request_id")


def rows() -> list[LoggedPrediction]:
    one = LoggedPrediction("", None, NOW, NOW, 3, "live", (1.5, 1, 74, 75), 0.1)
    return [
        replace(one, id=f"{number:04d}", request_id=f"ride-{number}" if number % 2 else None, event_at=at)
        for number, at in enumerate(MOMENTS)
    ]


def stored(engine: sa.Engine) -> list[sa.Row[tuple[object, ...]]]:
    """As SQLite itself has it, types and all."""
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT *, typeof(event_at), typeof(prediction) FROM predictions"))


def as_columns(given: list[LoggedPrediction]) -> list[object]:
    columns: list[object] = list(zip(*map(astuple, given), strict=True))
    at = [moment.astimezone(UTC).replace(tzinfo=None) for moment in columns[NAMES.index("event_at")]]  # type: ignore[attr-defined]
    columns[NAMES.index("event_at")] = np.array(at, dtype="datetime64[us]")
    columns[NAMES.index("prediction")] = np.array(columns[NAMES.index("prediction")])
    return columns


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_what_is_stored_is_what_sqlalchemy_would_store(engine: sa.Engine, appender: SqliteAppender, form: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.predictions), [asdict(row) for row in rows()])
    expected = stored(engine)
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.predictions))
    if form == "rows":
        assert appender.append([astuple(row) for row in rows()]) == len(MOMENTS)
    else:
        assert appender.append_columns(as_columns(rows())) == len(MOMENTS)  # type: ignore[arg-type]
    assert stored(engine) == expected


def test_of_rows_that_conflict_the_first_stands(engine: sa.Engine, appender: SqliteAppender) -> None:
    appender.append([astuple(rows()[1])])
    before = stored(engine)
    again = [replace(row, id=f"again-{row.id}", model_version=4) for row in rows()]
    assert appender.append_columns(as_columns(again)) == len(MOMENTS) - 1  # type: ignore[arg-type]
    assert [row for row in stored(engine) if row.request_id == "ride-1"] == before
