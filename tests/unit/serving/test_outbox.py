"""The file in which rows wait for the database: their order, what is remembered, and who owns it."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from autoops.errors import StorageUnavailable
from autoops.serving.log import outbox as module
from autoops.serving.log.inbox import Mark, Receipt
from autoops.serving.log.outbox import HeldOutbox, Outbox, OutboxFolder
from autoops.storage import database
from autoops.storage.predictions import Label, LoggedPrediction
from tests.open_files import open_files
from tests.unit.serving.test_prediction_log import MOMENT, row
from tests.unit.test_predictions import columns


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox" / "a.db"


@pytest.fixture(params=[0, 500, 10_000])
def outbox(file: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """With rows in memory, and without."""
    monkeypatch.setattr(module, "HELD", request.param)
    return Outbox(file, timeout_s=1)


def test_rows_leave_exactly_as_they_came_and_in_their_order(outbox: Outbox) -> None:
    rows = [row(number, f"ride-{number}" if number % 3 else None) for number in range(700)]
    assert outbox.append(rows) == rows
    first = outbox.next(300)
    outbox.arrive(Receipt(first.end))
    second = outbox.next(1000)
    assert [sent for _, sent in (*first.predictions, *second.predictions)] == rows
    assert (len(first.predictions), outbox.rows) == (300, 400)
    outbox.arrive(Receipt(second.end))
    assert (outbox.rows, outbox.next(10).predictions) == (0, [])


def test_a_number_is_never_given_twice(outbox: Outbox, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or rows that come after all have left would count as arrived."""
    monkeypatch.setattr(module, "REMEMBERED", 0)
    last = Mark()
    for number in range(3):
        outbox.append([row(number)])
        outbox.put([Label(5, request_id="ride")], MOMENT)
        batch = outbox.next(10)
        assert (batch.end.predictions > last.predictions, batch.end.labels > last.labels) == (True, True)
        last = batch.end
        outbox.arrive(Receipt(last))
        outbox.close()
        outbox = Outbox(file, timeout_s=1)
        assert (outbox.rows, outbox.mark) == (0, last)


def emptied(outbox: Outbox) -> Mark:
    """Forward all rows, and return the position after them."""
    while outbox.rows:
        outbox.arrive(Receipt(outbox.next(1_000).end))
    return outbox.mark


def test_rows_after_a_power_failure_get_no_number_of_rows_that_it_lost(outbox: Outbox, file: Path) -> None:
    """The database has the lost ones, and would skip new ones of their numbers."""
    for known in range(2):
        outbox.close()
        copy = Path(shutil.copy(file, file.with_name(f"{known}.db")))
        outbox = Outbox(file, timeout_s=1)
        outbox.append([row(50 * known + number) for number in range(50)])
        for _ in range(50):
            outbox.put([Label(5, request_id="ride")], MOMENT)
        lost = emptied(outbox)
        behind = Outbox(copy, timeout_s=1)
        assert behind.mark.predictions < lost.predictions
        behind.append([row(100 + known)])
        behind.put([Label(6, request_id="ride")], MOMENT)
        again = emptied(behind)
        assert (again.predictions > lost.predictions, again.labels > lost.labels) == (True, True)


def test_labels_whose_commit_fails_do_not_wait(outbox: Outbox) -> None:
    def full(_connection: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    sa.event.listen(outbox._engine, "commit", full)
    with pytest.raises((StorageUnavailable, sqlite3.OperationalError)):
        outbox.put([Label(5, request_id="ride")], MOMENT)
    sa.event.remove(outbox._engine, "commit", full)
    assert (outbox.rows, outbox.waiting().rows, outbox.next(10).labels) == (0, 0, [])


def test_what_was_committed_is_there_for_who_opens_the_file_next(outbox: Outbox, file: Path) -> None:
    rows = [row(number) for number in range(5)]
    outbox.append(rows)
    outbox.put([Label(5, prediction_id=rows[0].id), Label(6, request_id="ride")], MOMENT)
    again = Outbox(file, timeout_s=1)
    assert again.rows == 7
    batch = again.next(10)
    assert [sent for _, sent in batch.predictions] == rows
    assert [(at, label) for _, at, label in batch.labels] == [
        (MOMENT, Label(5, prediction_id=rows[0].id)),
        (MOMENT, Label(6, request_id="ride")),
    ]


def test_what_comes_after_a_restart_leaves_behind_what_was_there(outbox: Outbox, file: Path) -> None:
    rows = [row(number) for number in range(4)]
    outbox.append(rows[:2])
    again = Outbox(file, timeout_s=1)
    assert again.append(rows[2:]) == rows[2:]
    assert [sent for _, sent in again.next(10).predictions] == rows


def test_labels_wait_until_no_prediction_is_left_behind(outbox: Outbox) -> None:
    outbox.append([row(number) for number in range(5)])
    outbox.put([Label(5, request_id="ride")], MOMENT)
    first = outbox.next(4)
    assert (len(first.predictions), first.labels) == (4, [])
    outbox.arrive(Receipt(first.end))
    second = outbox.next(4)
    assert (len(second.predictions), len(second.labels)) == (1, 1)


def test_what_is_held_in_memory_leaves_before_what_is_only_in_the_file(outbox: Outbox) -> None:
    rows = [row(number, f"ride-{number}") for number in range(1200)]
    left = []
    for start in range(0, 1200, 200):
        outbox.append(rows[start : start + 200])
        outbox.append(rows[start : start + 1])
        outbox.put([Label(5, request_id="ride")], MOMENT)
        batch = outbox.next(90)
        left += batch.predictions
        outbox.arrive(Receipt(batch.end))
    while outbox.rows:
        batch = outbox.next(90)
        left += batch.predictions
        assert not batch.labels or len(left) == len(rows)
        outbox.arrive(Receipt(batch.end))
    assert [sent for _, sent in left] == rows
    numbers = [number for number, _ in left]
    assert numbers == sorted(set(numbers))


def test_a_batch_that_repeats_another_lets_nothing_go_before_it(outbox: Outbox) -> None:
    batch, again = ([row(number, f"ride-{number}") for number in range(3)] for _ in range(2))
    assert outbox.append_columns(columns(batch)) == {}
    assert outbox.append_columns(columns(again)) == dict(enumerate(batch))
    outbox.append([after := row(3)])
    assert [sent for _, sent in outbox.next(10).predictions] == [*batch, after]


def test_what_arrived_without_a_note_of_it_is_sent_again_after_a_kill(outbox: Outbox, file: Path) -> None:
    outbox.append([row(number) for number in range(module.NOTED_EVERY + 5)])
    for most in (module.NOTED_EVERY, 2):
        outbox.arrive(Receipt(outbox.next(most).end))
    assert Outbox(file, timeout_s=1).rows == 5
    outbox.note()
    again = Outbox(file, timeout_s=1)
    assert again.rows == 3
    again.arrive(Receipt(outbox.next(10).end))
    assert again.rows == 0


def test_a_repeat_gets_the_first_answer_before_and_after_it_has_arrived(outbox: Outbox) -> None:
    first, other, again, *more = row(1, "ride"), row(2), row(3, "ride"), row(4), row(5), row(6)
    assert outbox.append([first]) == [first]
    assert outbox.append([again, other, again]) == [first, other, first]
    assert outbox.rows == 2
    while outbox.rows:
        outbox.arrive(Receipt(outbox.next(10).end))
    assert outbox.append([again]) == [first]
    assert outbox.append_columns(columns([again, more[0], again])) == {0: first, 2: first}
    assert outbox.rows == 1
    assert outbox.append_columns(columns(more[1:])) == {}
    assert [sent for _, sent in outbox.next(10).predictions] == more


def test_an_answer_that_another_stands_for_is_replaced_by_it(outbox: Outbox) -> None:
    mine, theirs = row(1, "ride"), row(2, "ride")
    outbox.append([mine])
    outbox.arrive(Receipt(outbox.next(10).end, [theirs]))
    assert outbox.append([row(3, "ride")]) == [theirs]
    assert outbox.known([Label(5, prediction_id=theirs.id)]) == {theirs.id}


def test_the_oldest_that_have_arrived_are_forgotten_and_none_that_wait(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    rows = [row(number, f"ride-{number}") for number in range(40)]
    outbox.append(rows)
    outbox.arrive(Receipt(outbox.next(30).end))
    outbox.note()
    named = [Label(5, request_id=f"ride-{number}") for number in range(40)]
    assert outbox.known(named) == {f"ride-{number}" for number in range(20, 40)}
    assert [sent for _, sent in outbox.next(100).predictions] == rows[30:]


def test_how_much_waits_and_since_when(outbox: Outbox) -> None:
    assert (outbox.waiting().rows, outbox.waiting().since) == (0, None)
    outbox.put([Label(5, request_id="ride")], MOMENT + timedelta(hours=1))
    outbox.append([row(1)])
    assert (outbox.waiting().rows, outbox.waiting().since) == (2, MOMENT)
    outbox.arrive(Receipt(replace(outbox.next(10).end, labels=0)))
    assert (outbox.waiting().rows, outbox.waiting().since) == (1, MOMENT + timedelta(hours=1))


def test_an_outbox_belongs_to_one_until_it_is_let_go(tmp_path: Path) -> None:
    folder, other = (OutboxFolder(tmp_path / "outbox", timeout_s=1) for _ in range(2))
    mine = folder.take()
    assert list(other.abandoned()) == []
    theirs = other.take()
    assert theirs.file != mine.file
    mine.release()
    taken = other.take()
    assert taken.file == mine.file
    for held in (taken, theirs):
        held.remove()
    assert list((tmp_path / "outbox").iterdir()) == []


@pytest.mark.parametrize("end", [HeldOutbox.release, HeldOutbox.remove])
def test_an_outbox_that_is_let_go_leaves_no_file_open(tmp_path: Path, end: Callable[[HeldOutbox], None]) -> None:
    held = OutboxFolder(tmp_path, timeout_s=1).take()
    held.outbox.append([row(1)])
    assert held.outbox.waiting().rows == 1
    assert open_below(tmp_path)
    end(held)
    assert open_below(tmp_path) == []


def open_below(directory: Path) -> list[Path]:
    return [file for file in open_files() if file.is_relative_to(directory)]


@pytest.fixture
def abandoned(tmp_path: Path) -> list[Path]:
    """By processes that are gone, the one that was written last at the end."""
    folder = OutboxFolder(tmp_path / "home" / "outbox", timeout_s=1)
    left = [folder.take() for _ in range(3)]
    for at, held in enumerate(left):
        held.release()
        os.utime(held.file, (at, at))
    return [held.file for held in left]


def test_of_those_that_were_left_the_one_written_last_is_taken_first(abandoned: list[Path]) -> None:
    mine, other = (OutboxFolder(abandoned[0].parent, timeout_s=1) for _ in range(2))
    held = [mine.take(), *other.abandoned()]
    assert [each.file for each in held] == abandoned[::-1]
    opened = open_below(abandoned[0].parent)
    assert list(mine.abandoned()) == []
    assert open_below(abandoned[0].parent) == opened
    for each in held:
        each.remove()


def test_one_that_another_process_has_just_emptied_is_not_made_anew(abandoned: list[Path]) -> None:
    mine, other = (OutboxFolder(abandoned[0].parent, timeout_s=1) for _ in range(2))
    looking = mine.abandoned()
    first = next(looking)
    emptied = next(other.abandoned())
    assert emptied.file == abandoned[1]
    emptied.remove()
    (last,) = looking
    assert last.file == abandoned[0]
    for held in (first, last):
        held.remove()
    assert list(abandoned[0].parent.iterdir()) == []
    assert open_below(abandoned[0].parent) == []


def test_a_file_that_cannot_be_read_hinders_nobody(abandoned: list[Path]) -> None:
    *_, readable, broken = abandoned
    broken.write_bytes(b"this is no database" * 1000)
    held = OutboxFolder(broken.parent, timeout_s=1).take()
    assert held.file == readable
    held.remove()
    assert broken.exists()
    assert open_below(broken.parent) == []


def test_a_folder_that_takes_no_file_is_unavailable() -> None:
    with pytest.raises(StorageUnavailable, match="/proc/nowhere"):
        OutboxFolder(Path("/proc/nowhere"), timeout_s=1).take()


def test_an_outbox_of_the_release_before_gets_the_columns_that_are_new(tmp_path: Path) -> None:
    """It waits on disk through an upgrade, and can be left there by going back."""
    file = tmp_path / "old.db"
    old = Outbox(file, 1)
    old.append([older := row(1, "ride-1")])
    old.close()
    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE predictions DROP COLUMN key")
    connection.close()
    upgraded = Outbox(file, 1)
    upgraded.append([newer := replace(row(2, "ride-2"), key="shop")])
    assert [one for _, one in upgraded.next(9).predictions] == [older, newer]
    upgraded.close()


TYPED = """
CREATE TABLE predictions (number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id VARCHAR(36) NOT NULL,
    request_id VARCHAR(200), event_at DATETIME NOT NULL, predicted_at DATETIME NOT NULL, model_version INTEGER NOT NULL,
    source VARCHAR(20) NOT NULL, trip_distance FLOAT NOT NULL, passenger_count SMALLINT NOT NULL,
    pickup_location_id SMALLINT NOT NULL, dropoff_location_id SMALLINT NOT NULL, prediction FLOAT NOT NULL,
    "key" VARCHAR(64), UNIQUE (id), UNIQUE (request_id));
CREATE TABLE ground_truth (number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, prediction_id VARCHAR(36),
    request_id VARCHAR(200), trip_duration_minutes FLOAT NOT NULL, labelled_at DATETIME NOT NULL);
CREATE TABLE arrived (predictions INTEGER NOT NULL, labels INTEGER NOT NULL);
"""
"""The tables of an outbox before there were use cases."""


def typed_outbox(file: Path, rows: list[LoggedPrediction], labels: list[Label], arrived: Mark) -> None:
    """As a process of that release leaves it."""
    connection = sqlite3.connect(file)
    connection.executescript(TYPED)

    def text(moment: datetime) -> str:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")

    ids = [
        (n, each.id, each.request_id, text(each.event_at), text(each.predicted_at)) for n, each in enumerate(rows, 1)
    ]
    rest = [(each.model_version, each.source, *each.inputs, each.prediction, each.key) for each in rows]
    predictions = [(*one, *other) for one, other in zip(ids, rest, strict=True)]
    connection.executemany(f"INSERT INTO predictions VALUES ({', '.join('?' * 13)})", predictions)
    given = [(n, one.prediction_id, one.request_id, one.target, text(MOMENT)) for n, one in enumerate(labels, 1)]
    connection.executemany("INSERT INTO ground_truth VALUES (?, ?, ?, ?, ?)", given)
    connection.execute("INSERT INTO arrived VALUES (?, ?)", (arrived.predictions, arrived.labels))
    connection.commit()
    connection.close()


@pytest.mark.parametrize("interrupted", [False, True])
def test_rows_that_wait_in_an_outbox_of_typed_columns_are_taken_over(
    tmp_path: Path, interrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits on disk through an upgrade, which may be killed at any point."""
    folder = OutboxFolder(tmp_path, timeout_s=1)
    file = tmp_path / "old.db"
    rows = [replace(row(n, f"ride-{n}" if n % 2 else None), key="shop" if n % 3 else None) for n in range(600)]
    labels = [Label(5.1, prediction_id=rows[0].id), Label(11.123456789012345, request_id="ride-599")]
    typed_outbox(file, rows, [Label(1, request_id="ride-1"), *labels], Mark(200, 1))
    if interrupted:
        for statement in ("UPDATE predictions", "ALTER TABLE predictions DROP", "ALTER TABLE ground_truth RENAME"):
            with monkeypatch.context() as patch:
                killed_before(statement, patch)
                with pytest.raises(KeyboardInterrupt):
                    Outbox(file, 1)
    held = folder.take()
    assert (held.file, held.outbox.rows, held.outbox.mark) == (file, 402, Mark(200, 1))
    batch = held.outbox.next(1_000)
    assert [one for _, one in batch.predictions] == rows[200:]
    assert [number for number, _ in batch.predictions] == list(range(201, 601))
    assert [(number, at, label) for number, at, label in batch.labels] == [
        (2, MOMENT, labels[0]),
        (3, MOMENT, labels[1]),
    ]
    assert held.outbox.append([again := row(999, "ride-1"), newer := row(1_000)]) == [rows[1], newer]
    assert held.outbox.known([Label(5, prediction_id=again.id), Label(5, prediction_id=rows[0].id)]) == {rows[0].id}
    held.outbox.arrive(Receipt(batch.end))
    assert [one for _, one in held.outbox.next(9).predictions] == [newer]
    held.release()
    once_more = folder.take()
    assert [one for _, one in once_more.outbox.next(9).predictions][-1:] == [newer]
    once_more.remove()


def killed_before(statement: str, patch: pytest.MonkeyPatch) -> None:
    """Have the next outbox end before a statement, with what it has committed until then."""

    def embedded(file: Path, timeout_s: float) -> sa.Engine:
        engine = database.embedded(file, timeout_s)

        def end(_connection: object, _cursor: object, executed: str, *_others: object) -> None:
            if executed.startswith(statement):
                raise KeyboardInterrupt

        sa.event.listen(engine, "before_cursor_execute", end)
        return engine

    patch.setattr(module, "database", SimpleNamespace(embedded=embedded))
