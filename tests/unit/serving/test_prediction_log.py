"""What group commit asks of the log: many rows of many requests at once, exactly as they were."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.errors import StorageUnavailable
from autoops.settings import Settings
from autoops.storage import database
from autoops.storage.predictions import LIVE, LoggedPrediction, LogSelection, PredictionLog

MOMENT = datetime(2023, 1, 10, 15, 30, 0, 123456, tzinfo=UTC)


def row(number: int, request_id: str | None = None) -> LoggedPrediction:
    event_at = (MOMENT + timedelta(seconds=number)).astimezone(timezone(timedelta(hours=-5)))
    return LoggedPrediction(
        str(uuid_utils.uuid7()),
        request_id,
        event_at,
        MOMENT,
        1,
        LIVE,
        (0.1 + number / 3, number % 10, 74, 41),
        number / 7,
    )


def test_rows_come_back_exactly_however_many_are_committed_at_once(each_engine: sa.Engine) -> None:
    log = PredictionLog(each_engine)
    expected: list[LoggedPrediction] = []
    for size in (1, 2, 255, 256, 257, 700):
        rows = [row(number) for number in range(size)]
        assert log.append(rows) == rows
        expected += rows
    assert log.latest(LogSelection(1), len(expected) + 1) == expected


def test_of_equal_request_ids_the_first_stands_across_statements_and_commits(each_engine: sa.Engine) -> None:
    log = PredictionLog(each_engine)
    rows = [row(number, f"ride-{number % 300}") for number in range(900)]
    standing = log.append(rows)
    assert standing == rows[:300] * 3
    again = [row(number, f"ride-{number}") for number in range(300)]
    assert log.append(again) == rows[:300]
    assert log.count(LogSelection(1)) == 300


def test_an_append_that_breaks_in_the_middle_leaves_nothing_behind(each_engine: sa.Engine) -> None:
    log = PredictionLog(each_engine)
    rows = [row(number) for number in range(300)]
    with pytest.raises((sqlite3.IntegrityError, sa.exc.IntegrityError)):
        log.append([*rows, replace(row(300), prediction=None)])  # type: ignore[arg-type]
    after = row(301)
    assert log.append([after]) == [after]
    assert log.latest(LogSelection(1), 1000) == [after]


def test_a_locked_database_is_unavailable_and_then_is_not(settings: Settings) -> None:
    hasty = settings.model_copy(update={"storage": settings.storage.model_copy(update={"timeout_s": 0.05})})
    engine = database.connect(hasty)
    database.upgrade(engine)
    log = PredictionLog(engine)
    lock = sqlite3.connect(settings.storage.home / "autoops.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="locked"):
        log.append([row(1)])
    lock.execute("ROLLBACK")
    lock.close()
    after = row(2)
    assert log.append([after]) == [after]
    assert log.latest(LogSelection(1), 10) == [after]
    engine.dispose()
