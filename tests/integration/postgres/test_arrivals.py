"""What outboxes send is taken in once, whatever is sent twice and whoever else sends it."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from autoops.errors import StorageUnavailable
from autoops.serving.log.inbox import Inbox, Mark, OutboxBatch
from autoops.storage import tables
from autoops.storage.logged import owned
from autoops.storage.predictions import LIVE, Label, LoggedPrediction, LogSelection, PredictionLog
from tests.fakes import HeldClock
from tests.integration.postgres.conftest import Connect
from tests.integration.postgres.test_replicas import at_once
from tests.unit.serving.test_prediction_log import MOMENT, row

ROWS = 1_000


def sent(rows: list[LoggedPrediction], labels: list[Label] | None = None, first: int = 1) -> OutboxBatch:
    return OutboxBatch(
        list(enumerate(rows, first)), [(number, MOMENT, label) for number, label in enumerate(labels or [], first)]
    )


def minutes(engine: sa.Engine) -> list[float]:
    truth = tables.ground_truth.c
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(truth.target).order_by(truth.id)))


@pytest.fixture
def inbox(pg_engine: sa.Engine) -> Inbox:
    return Inbox(pg_engine, HeldClock())


def test_rows_arrive_exactly_and_in_their_order(inbox: Inbox, pg_engine: sa.Engine) -> None:
    rows = [row(number, f"ride-{number}" if number % 2 else None) for number in range(700)]
    labels = [Label(number + 0.5, prediction_id=rows[number].id) for number in range(700)]
    assert inbox.take("a", sent(rows, labels)) == inbox.take("a", OutboxBatch())
    log = PredictionLog(pg_engine)
    assert log.latest(LogSelection(1), 1000) == rows
    assert [found.logged for found in log.latest_labelled(LogSelection(1), 1000)] == rows
    assert minutes(pg_engine) == [label.target for label in labels]


def test_what_is_sent_again_is_left_out(inbox: Inbox, pg_engine: sa.Engine) -> None:
    """By a process that ended between the arrival and its note of it."""
    rows, labels = [row(number, f"ride-{number}") for number in range(4)], [Label(1, request_id="x")] * 3
    assert inbox.take("a", sent(rows[:3], labels[:2])).mark == Mark(3, 2)
    assert inbox.take("a", sent(rows, labels)).mark == Mark(4, 3)
    assert inbox.take("a", sent(rows[:3], labels[:2])).mark == Mark(4, 3)
    assert PredictionLog(pg_engine).latest(LogSelection(1), 10) == rows
    assert len(minutes(pg_engine)) == 3
    inbox.take("b", sent([row(9)], labels[:1]))
    assert len(minutes(pg_engine)) == 4, "numbers are an outbox's own"
    with pg_engine.begin() as connection:
        connection.execute(sa.delete(tables.predictions))
    inbox.take("a", sent(rows))
    assert PredictionLog(pg_engine).count(LogSelection(1)) == 0, "what was pruned does not come back"


def test_what_follows_is_taken_at_once_and_only_there(inbox: Inbox, pg_engine: sa.Engine) -> None:
    rows, labels = [row(number) for number in range(4)], [Label(number, request_id="x") for number in (1, 2, 3)]
    mark = inbox.take("a", sent(rows[:2], labels[:1])).mark
    following = OutboxBatch([(3, rows[2])], [(2, MOMENT, labels[1]), (3, MOMENT, labels[2])], mark)
    for _ in range(2):
        assert inbox.take("a", following).mark == Mark(3, 3)
    assert inbox.take("a", OutboxBatch([(4, rows[3])], after=Mark(3, 3))).mark == Mark(4, 3)
    assert PredictionLog(pg_engine).latest(LogSelection(1), 10) == rows
    assert minutes(pg_engine) == [1, 2, 3]


def test_a_connection_that_was_lost_meanwhile_is_nothing_to_speak_of(inbox: Inbox, pg_engine: sa.Engine) -> None:
    for number in range(1, 4):
        assert inbox.take("a", OutboxBatch([(number, row(number))], after=Mark(number - 1))).mark == Mark(number)
        with pg_engine.connect() as connection:
            others = "WHERE datname = current_database() AND pid != pg_backend_pid()"
            connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity {others}"))
    assert PredictionLog(pg_engine).count(LogSelection(1)) == 3


def test_of_two_answers_to_one_request_the_first_to_arrive_stands(inbox: Inbox, pg_engine: sa.Engine) -> None:
    first, second, other = row(1, "ride"), row(2, "ride"), row(3)
    assert inbox.take("a", sent([first])).standing == []
    for _ in range(2):
        assert inbox.take("b", sent([second, other])).standing == [first]
    third, last = row(4, "ride"), row(5, "another ride")
    assert inbox.take("b", OutboxBatch([(3, third), (4, last)], after=Mark(2))).standing == [first]
    assert PredictionLog(pg_engine).latest(LogSelection(1), 10) == [first, other, last]


@pytest.mark.parametrize("early", [True, False], ids=["label first", "label last"])
def test_a_label_of_a_losing_answer_is_pending_and_moves_no_other_label(
    inbox: Inbox, pg_engine: sa.Engine, early: bool
) -> None:
    first, lost = [row(n, f"ride-{n}") for n in (1, 2)], [row(n, f"ride-{n - 2}") for n in (3, 4)]
    others = [row(n) for n in range(5, 10)]
    log, of_lost = PredictionLog(pg_engine), [Label(7.5, prediction_id=one.id) for one in lost]
    if early:
        assert log.attach(of_lost, MOMENT) == ["pending"] * 2
    inbox.take("a", sent([*first, *others]))
    assert inbox.take("b", sent(lost)).standing == first
    if not early:
        assert log.attach(of_lost, MOMENT) == ["pending"] * 2
    log.attach([Label(number, prediction_id=one.id) for number, one in enumerate(others)], MOMENT)
    log.attach([Label(8.5, request_id="ride-1")], MOMENT)
    expected = [*zip(others, range(5), strict=True), (first[0], 8.5)]
    found = log.latest_labelled(LogSelection(1), 10)
    assert [(one.logged, one.target) for one in found] == expected
    assert {moment[1] for moment in log.labelled_moments(LIVE)} == {one.id for one, _ in expected}


def test_outboxes_that_send_the_same_requests_at_once_do_not_fail(connect: Connect) -> None:
    """In other orders, which must not make them wait for each other in a circle."""
    senders = [Inbox(connect(), HeldClock()) for _ in range(4)]
    for turn in range(4):
        forward = [[row(n, f"ride-{turn}-{n}") for n in range(ROWS)] for _ in senders]
        known = Mark(turn * ROWS)
        shipments = [
            replace(sent(rows[:: 1 if k % 2 else -1], first=turn * ROWS + 1), after=known)
            for k, rows in enumerate(forward)
        ]
        at_once(
            [
                lambda sender=sender, batch=batch, k=k: sender.take(f"outbox-{k}", batch)
                for k, (sender, batch) in enumerate(zip(senders, shipments, strict=True))
            ]
        )
    assert PredictionLog(connect()).count(LogSelection(1)) == 4 * ROWS


def test_an_arrival_is_all_or_nothing(inbox: Inbox, pg_engine: sa.Engine) -> None:
    broken = replace(row(2), prediction=None)  # type: ignore[arg-type]
    with pytest.raises(sa.exc.IntegrityError):
        inbox.take("a", sent([row(1), broken], [Label(1, request_id="x")]))
    assert PredictionLog(pg_engine).count(LogSelection(1)) == 0
    good = row(3)
    assert inbox.take("a", sent([good])).mark == Mark(1, 0)
    assert PredictionLog(pg_engine).latest(LogSelection(1), 10) == [good]


def test_an_outbox_that_is_no_more_is_forgotten(inbox: Inbox, pg_engine: sa.Engine) -> None:
    inbox.take("a", sent([row(1)]))
    inbox.retire("a")
    with pg_engine.connect() as connection:
        assert connection.execute(sa.select(tables.outboxes)).all() == []


def test_a_database_that_is_locked_takes_nothing(connect: Connect, pg_engine: sa.Engine) -> None:
    with pg_engine.begin() as holder:
        holder.execute(sa.text("LOCK TABLE predictions"))
        with pytest.raises(StorageUnavailable, match="lock timeout"):
            Inbox(connect(timeout_s=0.05), HeldClock()).take("a", sent([row(1)]))
    assert PredictionLog(pg_engine).count(LogSelection(1)) == 0


def test_a_label_of_a_key_finds_a_prediction_from_before_there_were_keys_that_arrives_with_it(
    inbox: Inbox, pg_engine: sa.Engine
) -> None:
    inbox.take("a", sent([row(1, "ride-1")], [Label(7, request_id=owned("ride-1", "shop"))]))
    (found,) = PredictionLog(pg_engine).latest_labelled(LogSelection(1), 10)
    assert (found.logged.request_id, found.target) == ("ride-1", 7)
