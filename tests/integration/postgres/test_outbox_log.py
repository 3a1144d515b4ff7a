"""The log that has an outbox, in one process: what it answers, counts and leaves, with the database there and away."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import StorageUnavailable
from autoops.serving.log.outbox_log import OutboxLog, needs_outbox, outboxes
from autoops.serving.metrics import Metrics
from autoops.settings import Settings
from autoops.storage import database, tables
from autoops.storage.logged import owned
from autoops.storage.predictions import Label, LogSelection, PredictionLog
from tests.conftest import stored_at
from tests.eventually import eventually
from tests.fakes import HeldClock
from tests.integration.serving.conftest import with_serving
from tests.ports import free_port
from tests.unit.serving.test_prediction_log import MOMENT, row
from tests.unit.test_predictions import columns

Begin = Callable[..., AbstractContextManager[OutboxLog]]


@pytest.fixture
def begin(settings: Settings) -> Begin:
    """A log on an engine, as of a process of its own; all have one home."""

    @contextmanager
    def begin(engine: sa.Engine, most: int = 100) -> Iterator[OutboxLog]:
        clock = HeldClock(MOMENT + timedelta(seconds=90))
        log = OutboxLog(PredictionLog(engine), with_serving(settings, outbox_max_rows=most), clock)
        log.start()
        try:
            yield log
        finally:
            log.stop()

    return begin


@pytest.fixture
def away(settings: Settings) -> Iterator[sa.Engine]:
    """A database that cannot be reached."""
    engine = database.connect(stored_at(settings, f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none"))
    yield engine
    engine.dispose()


@pytest.fixture
def folder(settings: Settings) -> Path:
    return outboxes(settings)


def test_only_a_log_on_a_server_needs_an_outbox(engine: sa.Engine, away: sa.Engine) -> None:
    assert [needs_outbox(PredictionLog(each)) for each in (engine, away)] == [False, True]


def test_a_repeat_elsewhere_gets_the_first_answer_one_by_one_and_in_a_batch(begin: Begin, pg_engine: sa.Engine) -> None:
    with begin(pg_engine) as one, begin(pg_engine) as other:
        first = [row(number, f"ride-{number}") for number in range(3)]
        assert one.append_columns(columns(first)) == {}
        again = [row(number, f"ride-{number}") for number in range(4)]
        assert other.append(again[:2]) == first[:2]
        assert other.append_columns(columns([again[3], again[2]])) == {1: first[2]}
        assert other.append_columns(columns(again)) == dict(enumerate(first))
        assert PredictionLog(pg_engine).latest(LogSelection(1), 10) == [*first, again[3]]


def test_what_is_known_of_a_request_is_what_any_instance_has_logged(begin: Begin, pg_engine: sa.Engine) -> None:
    """By this a batch is refused before any of it is logged."""
    with begin(pg_engine) as one, begin(pg_engine) as other:
        one.append([first := row(1, "ride-1")])
        for log in (one, other):
            assert log.standing(["ride-1", "ride-2"]) == {"ride-1": first}


def test_a_label_of_a_key_finds_a_prediction_without_one_through_the_outbox(begin: Begin, pg_engine: sa.Engine) -> None:
    PredictionLog(pg_engine).append([row(1, "ride-1")])
    with begin(pg_engine) as log:
        labels = [Label(5, request_id=owned(name, "shop")) for name in ("ride-1", "ride-2")]
        for _ in range(2):  # the outbox is new to the database, then known there
            assert log.attach(labels, MOMENT) == ["attached", "pending"]
    assert len(PredictionLog(pg_engine).latest_labelled(LogSelection(1), 9)) == 1


def test_a_label_is_attached_where_any_instance_has_its_prediction(begin: Begin, pg_engine: sa.Engine) -> None:
    with begin(pg_engine) as one, begin(pg_engine) as other:
        one.append([first := row(1, "ride-1")])
        named = [Label(5, prediction_id=first.id), Label(6, request_id="unheard of"), Label(7, request_id="ride-1")]
        for log in (one, other):
            assert log.attach(named, MOMENT) == ["attached", "pending", "attached"]


def test_nothing_is_stored_of_nothing(begin: Begin, away: sa.Engine) -> None:
    with begin(away) as log:
        assert (log.append([]), log.attach([], MOMENT)) == ([], [])
        log.append([row(1)])
        assert (log.append([]), log.attach([], MOMENT)) == ([], [])
        assert gauges(log)["autoops_outbox_rows"] == 1


def gauges(log: OutboxLog) -> dict[str, float]:
    metrics = Metrics()
    log.watch(metrics)
    lines = metrics.text().decode().splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines if line.startswith("autoops_outbox"))}


def test_what_waits_is_told_and_there_is_room_for_so_much(begin: Begin, away: sa.Engine) -> None:
    with begin(away, most=4) as log:
        assert gauges(log)["autoops_outbox_oldest_seconds"] == 0
        rows = [row(number) for number in range(5)]
        assert log.append(rows[:3]) == rows[:3]
        for refused in (
            lambda: log.append(rows[3:]),
            lambda: log.append_columns(columns(rows[3:])),
            lambda: log.attach([Label(5, request_id="ride")] * 2, MOMENT),
        ):
            with pytest.raises(StorageUnavailable, match="outbox: 3 rows wait for the database"):
                refused()
        assert log.attach([Label(5, prediction_id=rows[0].id)], MOMENT) == ["attached"]
        eventually(lambda: gauges(log)["autoops_outbox_database_away"] == 1)
        assert gauges(log)["autoops_outbox_rows"] == 4
        assert gauges(log)["autoops_outbox_oldest_seconds"] == 90


def test_only_what_names_a_request_waits_for_the_database(begin: Begin, pg_engine: sa.Engine) -> None:
    with begin(pg_engine) as log, pg_engine.begin() as holder:
        holder.execute(sa.text("LOCK TABLE predictions"))
        log.append([row(1)])
        log.append_columns(columns([row(2)]))
        assert gauges(log)["autoops_outbox_database_away"] == 0
        log.append([row(3, "ride-3")])
        assert gauges(log)["autoops_outbox_database_away"] == 1


def test_one_request_is_taken_whatever_its_size_where_nothing_waits(begin: Begin, away: sa.Engine) -> None:
    rows = [row(number) for number in range(5)]
    with begin(away, most=4) as log:
        assert log.append_columns(columns(rows)) == {}


def test_a_stop_leaves_what_the_database_did_not_take_and_else_nothing(
    begin: Begin, away: sa.Engine, pg_engine: sa.Engine, folder: Path
) -> None:
    with begin(away) as log:
        log.append([first := row(1, "ride-1")])
    assert len(list(folder.glob("*.db"))) == 1
    with begin(pg_engine) as log:
        assert log.append([row(2, "ride-1")]) == [first]
    assert list(folder.iterdir()) == []
    assert PredictionLog(pg_engine).latest(LogSelection(1), 10) == [first]
    with pg_engine.connect() as connection:
        assert connection.execute(sa.select(tables.outboxes)).all() == []
