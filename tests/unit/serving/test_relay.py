"""What moves rows out of outboxes: what a request waits for, and what becomes of rows when the database is away."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoops.errors import StorageUnavailable
from autoops.serving.log import forwarder as module
from autoops.serving.log.forwarder import Forwarder
from autoops.serving.log.inbox import Inbox, OutboxBatch, Receipt
from autoops.serving.log.outbox import HeldOutbox, Outbox, OutboxFolder
from autoops.storage.predictions import Label, LoggedPrediction
from tests.eventually import eventually
from tests.unit.serving.test_prediction_log import MOMENT, row

FOR_EVER_S = 3600


class Database(Inbox):
    """Takes what it is sent; fails with `failure`, and does not answer while `gate` is closed."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0
        self.rows: list[LoggedPrediction] = []
        self.labels: list[Label] = []
        self.retired: list[str] = []

    def take(self, outbox_id: str, batch: OutboxBatch) -> Receipt:
        self.asked += 1
        assert self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        self.rows += [logged for _, logged in batch.predictions]
        self.labels += [label for _, _, label in batch.labels]
        return Receipt(batch.end)

    def retire(self, outbox_id: str) -> None:
        self.retired.append(outbox_id)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def folder(tmp_path: Path) -> OutboxFolder:
    return OutboxFolder(tmp_path / "outbox", timeout_s=1)


@pytest.fixture
def mine(folder: OutboxFolder) -> HeldOutbox:
    return folder.take()


@pytest.fixture
def outbox(mine: HeldOutbox) -> Outbox:
    return mine.outbox


@pytest.fixture
def forwarder(
    outbox: Outbox, folder: OutboxFolder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Forwarder]:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    forwarder = Forwarder(outbox, folder, database)
    yield forwarder
    database.gate.set()
    forwarder.stop()


def test_who_waits_goes_on_once_all_rows_have_arrived(
    forwarder: Forwarder, outbox: Outbox, database: Database, mine: HeldOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 3)
    forwarder.start()
    for first in (0, 3):
        rows = [row(number) for number in range(first, first + 2)]
        outbox.append(rows)
        outbox.put([Label(first, request_id="ride")], MOMENT)
        assert forwarder.deliver(FOR_EVER_S)
        assert (outbox.rows, database.rows[-2:]) == (0, rows)
    assert [label.target for label in database.labels] == [0, 3]
    eventually(lambda: Outbox(mine.file, timeout_s=1).rows == 0)


def test_nobody_waits_for_more_than_arrives_at_once(
    forwarder: Forwarder, outbox: Outbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 2)
    database.gate.clear()
    forwarder.start()
    outbox.append([row(number) for number in range(3)])
    assert not forwarder.deliver(FOR_EVER_S)
    assert not forwarder.away
    database.gate.set()
    eventually(lambda: not outbox.rows)
    assert len(database.rows) == 3


@pytest.mark.parametrize("failure", [StorageUnavailable("gone"), ValueError("whatever")])
def test_rows_stay_while_the_database_fails_and_go_on_when_it_is_back(
    forwarder: Forwarder, outbox: Outbox, database: Database, failure: Exception
) -> None:
    database.failure = failure
    forwarder.start()
    rows = [row(number) for number in range(2)]
    outbox.append(rows[:1])
    assert not forwarder.deliver(FOR_EVER_S)
    assert forwarder.away
    outbox.append(rows[1:])
    assert not forwarder.deliver(FOR_EVER_S), "at once: it is known to be away"
    assert outbox.rows == 2
    asked = database.asked
    eventually(lambda: database.asked > asked + 2)
    database.failure = None
    eventually(lambda: not forwarder.away)
    assert (outbox.rows, database.rows) == (0, rows)
    outbox.append([row(2)])
    assert forwarder.deliver(FOR_EVER_S)


def test_that_the_database_is_away_or_back_is_logged_once(
    forwarder: Forwarder, outbox: Outbox, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.failure = StorageUnavailable("gone")
    forwarder.start()
    outbox.append([row(1)])
    eventually(lambda: database.asked > 3)
    database.failure = None
    eventually(lambda: not forwarder.away)
    assert forwarder.stop()
    away, back = (record.message for record in caplog.records)
    assert away == "rows wait in the outbox: gone"
    assert back.startswith("the database is back")


def test_a_database_that_does_not_answer_counts_as_away(
    forwarder: Forwarder, outbox: Outbox, database: Database
) -> None:
    database.gate.clear()
    forwarder.start()
    outbox.append([row(1)])
    assert not forwarder.deliver(patience_s=0.01)
    assert forwarder.away
    database.gate.set()
    eventually(lambda: not forwarder.away)
    assert (outbox.rows, len(database.rows)) == (0, 1)


def test_a_stop_moves_all_that_waits(
    forwarder: Forwarder, outbox: Outbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 2)
    outbox.append([row(number) for number in range(7)])
    forwarder.start()
    assert forwarder.stop()
    assert (outbox.rows, len(database.rows)) == (0, 7)


def test_a_stop_leaves_what_the_database_does_not_take(
    forwarder: Forwarder, outbox: Outbox, database: Database
) -> None:
    database.failure = StorageUnavailable("gone")
    outbox.append([row(1)])
    forwarder.start()
    assert forwarder.stop()
    assert outbox.rows == 1


def test_a_stop_waits_no_longer_than_it_is_told(forwarder: Forwarder, outbox: Outbox, database: Database) -> None:
    database.gate.clear()
    outbox.append([row(1)])
    forwarder.start()
    eventually(lambda: database.asked)
    assert not forwarder.stop(timeout_s=0.01)


@pytest.fixture
def abandoned(mine: HeldOutbox, folder: OutboxFolder) -> list[str]:
    """Of two processes that are gone."""
    others = [folder.take() for _ in range(2)]
    for number, held in enumerate(others, 1):
        held.outbox.append([row(10 * number + one) for one in range(3)])
        held.outbox.put([Label(number, request_id="ride")], MOMENT)
        held.release()
    return sorted(held.outbox.id for held in others)


def test_what_processes_left_that_are_gone_arrives_and_their_files_go(
    forwarder: Forwarder,
    outbox: Outbox,
    database: Database,
    mine: HeldOutbox,
    abandoned: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ROWS", 2)
    forwarder.start()
    eventually(lambda: len(database.retired) == 2)
    assert sorted(database.retired) == abandoned
    assert sorted(logged.prediction for logged in database.rows) == sorted(
        row(number).prediction for number in (10, 11, 12, 20, 21, 22)
    )
    assert sorted(label.target for label in database.labels) == [1, 2]
    eventually(lambda: [file.stem for file in mine.file.parent.glob("*.db")] == [outbox.id])


def test_a_stop_leaves_to_others_what_was_not_emptied(
    forwarder: Forwarder,
    database: Database,
    abandoned: list[str],
    folder: OutboxFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ROWS", 2)
    database.gate.clear()
    forwarder.start()
    eventually(lambda: database.asked)
    assert not forwarder.stop(timeout_s=0)
    database.gate.set()
    assert forwarder.stop()
    assert database.retired == []
    left = list(folder.abandoned())
    assert sorted(held.outbox.id for held in left) == abandoned
    for held in left:
        held.release()


def test_what_was_left_is_not_forgotten_while_nothing_of_ones_own_waits(
    forwarder: Forwarder, database: Database, abandoned: list[str], folder: OutboxFolder
) -> None:
    database.failure = StorageUnavailable("gone")
    forwarder.start()
    eventually(lambda: forwarder.away)
    database.failure = None
    eventually(lambda: sorted(database.retired) == abandoned)
    eventually(lambda: not forwarder.away)


def test_an_outbox_that_cannot_be_emptied_is_left_to_others(
    forwarder: Forwarder, database: Database, abandoned: list[str], folder: OutboxFolder
) -> None:
    database.failure = StorageUnavailable("gone")
    forwarder.start()
    eventually(lambda: forwarder.away)
    taken: list[HeldOutbox] = []
    eventually(lambda: taken.extend(folder.abandoned()) or len(taken) == 2)
    for held in taken:
        assert held.outbox.rows == 4
        held.release()
