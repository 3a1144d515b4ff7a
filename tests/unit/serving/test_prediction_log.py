"""What group commit asks of the log: many rows of many requests at once, exactly as they were."""

from datetime import UTC, datetime, timedelta, timezone

import sqlalchemy as sa
import uuid_utils

from autoops.predictions import LIVE, LoggedPrediction, PredictionLog, Scope

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
        0.1 + number / 3,
        number % 10,
        74,
        41,
        number / 7,
    )


def test_rows_come_back_exactly_however_many_are_committed_at_once(engine: sa.Engine) -> None:
    log = PredictionLog(engine)
    expected: list[LoggedPrediction] = []
    for size in (1, 2, 255, 256, 257, 700):
        rows = [row(number) for number in range(size)]
        assert log.append(rows) == rows
        expected += rows
    assert log.latest(Scope(1), len(expected) + 1) == expected


def test_of_equal_request_ids_the_first_stands_across_statements_and_commits(engine: sa.Engine) -> None:
    log = PredictionLog(engine)
    rows = [row(number, f"ride-{number % 300}") for number in range(900)]
    standing = log.append(rows)
    assert standing == rows[:300] * 3
    again = [row(number, f"ride-{number}") for number in range(300)]
    assert log.append(again) == rows[:300]
    assert log.count(Scope(1)) == 300
