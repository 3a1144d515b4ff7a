from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from autoops.errors import StorageUnavailable
from autoops.storage import tables
from autoops.storage.instances import Instance, Instances
from autoops.storage.logged import FIELDS, LoggedColumns, owned
from autoops.storage.predictions import LIVE, Label, LoggedPrediction, LogSelection, PredictionLog

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int, *, version: int = 1, request_id: str | None = None, source: str = "live") -> LoggedPrediction:
    return LoggedPrediction(
        id=f"{number:08d}",
        request_id=request_id,
        event_at=NOW - timedelta(days=30) + timedelta(minutes=number),
        predicted_at=NOW + timedelta(seconds=number),
        model_version=version,
        source=source,
        inputs=(1.5, 1, 74, 75),
        prediction=10.0,
    )


@pytest.fixture
def log(each_engine: sa.Engine) -> PredictionLog:
    return PredictionLog(each_engine)


def test_what_was_appended_is_read_back_unchanged(log: PredictionLog) -> None:
    rows = [row(n) for n in range(5)]
    assert log.append(rows) == rows
    assert log.latest(LogSelection(1), 10) == rows


def columns(rows: list[LoggedPrediction]) -> LoggedColumns:
    given = {name: [getattr(row, name) for row in rows] for name in FIELDS}
    at = [moment.astimezone(UTC).replace(tzinfo=None) for moment in given["event_at"]]
    arrays = {"prediction": np.array(given["prediction"])}
    return LoggedColumns(**given | arrays | {"event_at": np.array(at, dtype="datetime64[us]")})


def test_columns_are_the_rows_that_they_say(log: PredictionLog) -> None:
    rows = [row(n, request_id="a" if n % 3 == 1 else None) for n in range(7)]
    assert columns(rows).rows() == rows
    log.append([first := row(100, request_id="b")])
    again = [*rows, row(8, request_id="b")]
    assert log.append_columns(columns(again)) == {4: rows[1], 7: first}
    assert log.latest(LogSelection(1), 10) == [*rows[:4], *rows[5:], first]
    assert log.append_columns(columns([row(n) for n in range(200, 205)])) == {}


def test_a_repeated_request_is_logged_once_and_answered_with_the_first_row(log: PredictionLog) -> None:
    first = row(1, request_id="trip-7")
    log.append([first])
    assert log.append([row(2, request_id="trip-7"), row(3)]) == [first, row(3)]
    assert log.count(LogSelection(1)) == 2


def test_a_repeat_of_many_requests_is_answered_in_their_order(log: PredictionLog) -> None:
    first = [row(n, request_id=f"trip-{n}") for n in range(1_200)]
    log.append(first)
    again = [row(9_000 - n, request_id=f"trip-{n}") for n in reversed(range(1_200))]
    assert log.append(again) == first[::-1]


def test_two_equal_requests_in_one_append_are_one_row(log: PredictionLog) -> None:
    first, second = row(1, request_id="a"), row(2, request_id="a")
    assert log.append([first, second]) == [first, first]


def test_a_row_is_found_by_its_own_id_before_any_that_a_client_gave(log: PredictionLog) -> None:
    log.append([row(1, request_id="trip-7"), row(2, request_id=row(3).id)])
    log.append([row(3)])
    assert log.find("trip-7") == row(1, request_id="trip-7")
    assert log.find(row(3).id) == row(3)
    assert log.find(row(2).id) == row(2, request_id=row(3).id)
    assert log.find("trip-8") is None


def test_a_window_holds_the_last_rows_of_one_version_and_source_after_a_mark(log: PredictionLog) -> None:
    log.append([row(n) for n in range(10)] + [row(20, version=2), row(21, source="2022-05")])
    assert [r.id for r in log.latest(LogSelection(1), 3)] == ["00000007", "00000008", "00000009"]
    assert [r.id for r in log.latest(LogSelection(1), 10, after="00000007")] == ["00000008", "00000009"]
    assert log.count(LogSelection(1, "2022-05")) == 1


def test_a_window_begins_after_the_promotion(log: PredictionLog) -> None:
    log.append([row(n) for n in range(10)])
    assert log.count(LogSelection(1, since=NOW + timedelta(seconds=6))) == 4


def test_a_label_may_come_before_its_prediction(log: PredictionLog) -> None:
    assert log.attach([Label(12.0, request_id="late")], NOW) == ["pending"]
    log.append([row(1, request_id="late")])
    (labelled,) = log.latest_labelled(LogSelection(1), 10)
    assert labelled.target == 12.0


def test_labels_name_either_id_and_the_later_one_counts(log: PredictionLog) -> None:
    log.append([row(1, request_id="a"), row(2)])
    labels = [Label(5.0, prediction_id="00000001"), Label(6.0, prediction_id="00000002"), Label(9.0, request_id="a")]
    assert log.attach(labels, NOW) == ["attached"] * 3
    found = {r.logged.id: r.target for r in log.latest_labelled(LogSelection(1), 10)}
    assert found == {"00000001": 9.0, "00000002": 6.0}


def test_labels_that_have_counted_do_not_come_again(log: PredictionLog) -> None:
    log.append([row(n) for n in range(4)])
    log.attach([Label(5.0, prediction_id=f"{n:08d}") for n in range(2)], NOW)
    mark = log.latest_labelled(LogSelection(1), 10)[-1].label_id
    log.attach([Label(5.0, prediction_id="00000003")], NOW)
    assert [r.logged.id for r in log.latest_labelled(LogSelection(1), 10, after=mark)] == ["00000003"]


def test_a_label_that_is_sent_again_does_not_make_its_trip_count_again(log: PredictionLog) -> None:
    log.append([row(1, request_id="a"), row(2), row(3)])
    labels = [Label(5.0, request_id="a"), Label(6.0, prediction_id="00000002")]
    log.attach(labels, NOW)
    mark = log.latest_labelled(LogSelection(1), 10)[-1].label_id
    log.attach([*labels, Label(5.0, prediction_id="00000001"), Label(7.0, prediction_id="00000003")], NOW)
    assert [r.logged.id for r in log.latest_labelled(LogSelection(1), 10, after=mark)] == ["00000003"]


def test_labels_that_come_many_times_leave_a_window_as_many_trips(log: PredictionLog) -> None:
    log.append([row(n) for n in range(10)])
    for n in range(10):
        log.attach([Label(float(time), prediction_id=f"{n:08d}") for time in range(1, 6)], NOW)
    found = log.latest_labelled(LogSelection(1), 8)
    assert [r.logged.id for r in found] == [f"{n:08d}" for n in range(2, 10)]
    assert {r.target for r in found} == {5.0}


def test_more_labels_than_one_query_names_are_told_apart(log: PredictionLog) -> None:
    log.append([row(n) for n in range(0, 1_200, 2)])
    statuses = log.attach([Label(5.0, prediction_id=f"{n:08d}") for n in range(1_200)], NOW)
    assert statuses == ["attached", "pending"] * 600


def test_labels_take_a_statement_for_many_of_them(engine: sa.Engine) -> None:
    statements: list[bool] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[-1]))
    labels = [Label(5.0, request_id=f"ride-{number}") for number in range(10_000)]
    assert PredictionLog(engine).attach(labels, datetime.now(UTC)) == ["pending"] * 10_000
    assert len(statements) < 50
    assert not any(statements), "executemany gives the interpreter away at each row"
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count(tables.ground_truth.c.labelled_at))) == 10_000


def test_a_label_of_a_key_finds_a_prediction_from_before_ids_belonged_to_keys(log: PredictionLog) -> None:
    log.append([row(1, request_id="old"), replace(row(2, request_id=owned("new", "shop")), key="shop")])
    log.append([row(3, request_id="new")])
    labels = [Label(n, request_id=owned(name, "shop")) for n, name in enumerate(("old", "new", "never"))]
    assert log.attach(labels, NOW) == ["attached", "attached", "pending"]
    found = [(one.logged.id, one.target) for one in log.latest_labelled(LogSelection(1), 9)]
    assert found == [(row(1).id, 0), (row(2).id, 1)]


def test_when_a_prediction_was_labelled_first_is_known_by_either_id(log: PredictionLog) -> None:
    rows = [row(n, request_id=f"r{n}" if n % 2 else None) for n in range(1_200)]
    log.append(rows)
    log.attach([Label(9.0, request_id="r1"), Label(9.0, prediction_id=rows[4].id)], NOW)
    log.attach(
        [Label(8.0, prediction_id=rows[1].id), Label(8.0, prediction_id=rows[1_100].id)], NOW + timedelta(days=1)
    )
    later = NOW + timedelta(days=1)
    assert log.labelled_at(rows) == {rows[1].id: NOW, rows[4].id: NOW, rows[1_100].id: later}
    assert log.labelled_at(rows[2:4]) == log.labelled_at([]) == {}


def test_each_label_joins_its_own_prediction_whatever_repeats_holds(log: PredictionLog, each_engine: sa.Engine) -> None:
    """The release before wrote answers there that lost against another answer to the same request."""
    rows = [row(n, request_id=f"r{n}" if n < 2 else None) for n in range(10)]
    log.append(rows)
    lost = [asdict(row(n + 100)) | {"prediction_id": row(n + 100).id, "request_id": f"r{n}"} for n in range(2)]
    names = [column.name for column in tables.repeats.c]
    with each_engine.begin() as connection:
        connection.execute(sa.insert(tables.repeats), [{name: one[name] for name in names} for one in lost])
    labels = [Label(n + 0.5, prediction_id=one.id) for n, one in enumerate(rows)]
    assert log.attach(labels, NOW) == ["attached"] * 10
    assert log.attach([Label(99.0, prediction_id=one["id"]) for one in lost], NOW) == ["pending"] * 2
    found = [(one.logged, one.target) for one in log.latest_labelled(LogSelection(1), 20)]
    assert found == [(one, n + 0.5) for n, one in enumerate(rows)]
    moments = [(1, one.id, n, one.event_at) for n, one in enumerate(rows, 1)]
    assert sorted(log.labelled_moments(LIVE)) == moments


def test_a_database_without_its_tables_is_a_storage_error(log: PredictionLog, each_engine: sa.Engine) -> None:
    with each_engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE predictions RENAME TO elsewhere"))
    with pytest.raises(StorageUnavailable, match="predictions"):
        log.append([row(1)])


def test_instances_tell_which_version_the_living_serve(each_engine: sa.Engine) -> None:
    instances = Instances(each_engine)
    instances.beat("a", 1, NOW, NOW, "box-1")
    instances.beat("b", None, NOW, NOW)
    instances.beat("a", 2, NOW, NOW + timedelta(seconds=30), "box-1")
    assert instances.serving(NOW) == [Instance("a", "box-1", 2), Instance("b", None, None)]
    assert [instance.name for instance in instances.serving(NOW)] == ["box-1 (a)", "b"]
    assert instances.serving(NOW + timedelta(seconds=10)) == [Instance("a", "box-1", 2)]
    instances.leave("a")
    assert instances.serving(NOW + timedelta(seconds=10)) == []
