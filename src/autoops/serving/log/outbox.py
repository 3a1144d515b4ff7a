"""The outbox of an API process: a SQLite file of its own with the rows that the database does not have yet.

A row is committed here before its request gets a response, and forwarded in the order of arrival. Forwarded predictions
are kept for a while, so that a repeated request gets its first response even while the database is unavailable.

Under load the driver releases the GIL for each row that it reads, and waits to get it back. So waiting predictions are
also held in memory and forwarded from there, and the forwarded position is written to the file only now and then.

All processes of a home keep their outboxes in one folder, and each outbox belongs to the process that holds its lock.
The system releases a lock when its process ends, for whatever reason, so an outbox that is not locked is abandoned.
"""

import fcntl
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from autoops.errors import StorageUnavailable
from autoops.serving.log.inbox import Mark, OutboxBatch, Receipt
from autoops.storage import database, raw_inputs, tables
from autoops.storage.appender import SqliteAppender
from autoops.storage.database import storage_errors
from autoops.storage.predictions import Label, LoggedColumns, LoggedPrediction, insert_labels

REMEMBERED = 50_000
"""Forwarded predictions that are kept."""

NOTED_EVERY = 1_000
"""Rows that may be forwarded before the position is written to the file. A process that is killed before that sends
them again, and the database skips them."""

HELD = 10_000
"""Waiting predictions that are held in memory; further ones are read from the file."""

_IDS_PER_QUERY = 500

logger = logging.getLogger(__name__)

metadata = sa.MetaData()


def _waiting(table: sa.Table, *unique: str) -> sa.Table:
    """Return a table with the columns of `table` after a `number` that is never given twice: it is the position."""
    columns = [sa.Column(c.name, c.type, nullable=c.nullable, unique=c.name in unique) for c in table.c]
    number = sa.Column("number", sa.Integer, primary_key=True)
    kept = [column for column in columns if not (table is tables.ground_truth and column.name == "id")]
    # Without AUTOINCREMENT SQLite begins at 1 again after all labels are deleted, and the position
    # would be ahead of new ones.
    return sa.Table(table.name, metadata, number, *kept, sqlite_autoincrement=True)


predictions = _waiting(tables.predictions, "id", "request_id")
ground_truth = _waiting(tables.ground_truth)
arrived = sa.Table(
    "arrived",
    metadata,
    sa.Column("predictions", sa.Integer, nullable=False),
    sa.Column("labels", sa.Integer, nullable=False),
)

_NAMES = [field.name for field in fields(LoggedPrediction)]
_COLUMNS = [predictions.c[name] for name in _NAMES]
_VALUES = attrgetter(*_NAMES)
_LABEL_COLUMNS = [ground_truth.c[name] for name in ("target", "prediction_id", "request_id")]


def create(connection: sa.Connection) -> None:
    """Create the tables, and the columns that are new since the release that made this file."""
    metadata.create_all(connection)
    if raw_inputs.is_typed(connection):
        _convert(connection)
    for table in metadata.tables.values():
        there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        for column in table.c:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {kind}')


def _convert(connection: sa.Connection) -> None:
    """Convert the rows of a release that knew one use case."""
    # The driver begins a transaction at the UPDATE: a process that was killed before its end leaves this column.
    if "inputs" not in {column["name"] for column in sa.inspect(connection).get_columns("predictions")}:
        connection.exec_driver_sql("ALTER TABLE predictions ADD COLUMN inputs JSON")
    connection.exec_driver_sql(f"UPDATE predictions SET inputs = {raw_inputs.SQLITE_INPUTS}")
    for name in raw_inputs.TYPED:
        connection.exec_driver_sql(f"ALTER TABLE predictions DROP COLUMN {name}")
    connection.exec_driver_sql(f"ALTER TABLE ground_truth RENAME COLUMN {raw_inputs.OLD_TARGET} TO target")


@dataclass(frozen=True)
class Waiting:
    """How many rows the database does not have yet, and since when the oldest of them waits."""

    rows: int
    since: datetime | None


class Outbox:
    """The outbox in one file. One thread appends rows and puts labels; another calls `next` and `arrive`."""

    def __init__(self, file: Path, timeout_s: float) -> None:
        self.id = file.stem
        self._engine = database.embedded(file, timeout_s)
        # Threads wait for each other here, and not for SQLite's lock, which they would have to poll.
        self._writing = threading.Lock()
        self._appender = SqliteAppender(self._engine, [predictions.c.number, *_COLUMNS], unique="request_id")
        self._held: deque[tuple[int, LoggedPrediction]] = deque()
        self._sent = OutboxBatch()
        self.replaced = 0
        with storage_errors(), self._engine.begin() as connection:
            create(connection)
            if (row := connection.execute(sa.select(arrived)).one_or_none()) is None:
                connection.execute(sa.insert(arrived).values(predictions=0, labels=0))
            self.mark = self._noted = Mark(*row) if row else Mark()
            last = connection.scalar(sa.select(sa.func.max(predictions.c.number)))
            self._predictions, self._labels = self._counts(connection)
            # After a power failure the file may lack its last rows, which the database has: new rows with
            # their numbers would be skipped there. Fewer than a million rows come in a second.
            opened_at = time.time_ns() // 1_000
            _number_labels_above(connection, max(opened_at, self.mark.labels))
        self._number = max(last or 0, self.mark.predictions, opened_at)
        # Rows that an earlier process has left are read from the file.
        self._only_in_file = self._predictions > 0

    @property
    def rows(self) -> int:
        """Return the number of rows that the database does not have yet."""
        return self._predictions + self._labels

    def _behind(self) -> tuple[tuple[sa.Table, int], ...]:
        return (predictions, self.mark.predictions), (ground_truth, self.mark.labels)

    def _counts(self, connection: sa.Connection, until: Mark | None = None) -> list[int]:
        ends = (until.predictions, until.labels) if until else (None, None)
        counts = (_count(*pair, end) for pair, end in zip(self._behind(), ends, strict=True))
        return [connection.execute(count).scalar_one() for count in counts]

    def close(self) -> None:
        """Write the position to the file and close it; waiting rows stay in the file."""
        with suppress(StorageUnavailable):  # such as a full disk; forwarded rows are sent again, and skipped
            self.note()
        self._appender.close()
        self._engine.dispose()

    def append(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        """Commit `rows`, and return the stored rows in the same order: for a known `request_id`, the earlier row."""
        with self._writing:
            numbered = list(zip(self._numbers(len(rows)), rows, strict=True))
            new = self._appender.append([(number, *_VALUES(row)) for number, row in numbered])
            self._predictions += new
            # A row in memory must not overtake one that is only in the file. If some rows
            # conflict, their number does not tell which.
            if new == len(rows) and not self._only_in_file and len(self._held) + new <= HELD:
                self._held.extend(numbered)
            elif new:
                self._only_in_file = True
        return list(rows) if new == len(rows) else self.standing(rows)

    def append_columns(self, columns: LoggedColumns) -> dict[int, LoggedPrediction]:
        """Commit rows given as columns, and return, by position, the earlier rows that replace some of them."""
        with self._writing:
            new = self._appender.append_columns([self._numbers(len(columns)), *columns.in_order()])
            self._predictions += new
            # Not held in memory, which would take an object for each row.
            self._only_in_file = self._only_in_file or new > 0
        return {} if new == len(columns) else columns.others(self.standing(columns.rows()))

    def _numbers(self, rows: int) -> range:
        """Return the next numbers that were never used."""
        first, self._number = self._number + 1, self._number + rows
        return range(first, first + rows)

    def standing(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        """Return the stored rows for the `request_id` of each row, in order; the row itself where there is none."""
        found = self.known_requests([row.request_id for row in rows if row.request_id is not None])
        return [row if row.request_id is None else found.get(row.request_id, row) for row in rows]

    def known_requests(self, request_ids: Sequence[str]) -> dict[str, LoggedPrediction]:
        """Return the stored predictions for these requests, by request_id."""
        found: dict[str, LoggedPrediction] = {}
        with storage_errors(), self._engine.connect() as connection:
            for some in _slices(request_ids):
                query = sa.select(*_COLUMNS).where(predictions.c.request_id.in_(some))
                found |= {row.request_id: LoggedPrediction(*row) for row in connection.execute(query)}
        return found

    def put(self, labels: Sequence[Label], labelled_at: datetime) -> None:
        """Commit all labels."""
        with self._writing:
            with storage_errors(), self._engine.begin() as connection:
                insert_labels(connection, ground_truth, labels, labelled_at)
            # After the commit, which may fail as well.
            self._labels += len(labels)

    def known(self, labels: Sequence[Label]) -> set[str | None]:
        """Return those ids in the labels whose prediction is stored here."""
        known: set[str | None] = set()
        with storage_errors(), self._engine.connect() as connection:
            for name in ("prediction_id", "request_id"):
                column = predictions.c["id" if name == "prediction_id" else name]
                for some in _slices([named for label in labels if (named := getattr(label, name)) is not None]):
                    known.update(connection.scalars(sa.select(column).where(column.in_(some))))
        return known

    def waiting(self) -> Waiting:
        """Return how many rows wait, and since when the oldest waits: None if none does. Reads the file."""
        since = []
        with storage_errors(), self._engine.connect() as connection:
            for (table, through), at in zip(self._behind(), ("predicted_at", "labelled_at"), strict=True):
                oldest = sa.select(table.c[at]).where(table.c.number > through).order_by(table.c.number).limit(1)
                since += list(connection.scalars(oldest))
        return Waiting(self.rows, min(since, default=None))

    def next(self, most: int) -> OutboxBatch:
        """Return the oldest rows that are not forwarded yet: at most `most` predictions, and as many labels.

        Labels follow their predictions: they are read first, and are in the batch only if no prediction is left out.
        """
        labels = self._next_labels(most) if self._labels else []
        with self._writing:
            # Rows in memory are older than all that are only in the file.
            rows = list(islice(self._held, most))
            left_behind = self._only_in_file or len(rows) < len(self._held)
        if not rows and left_behind:
            rows = self._next_in_file(most)
            # After a full page there may be more.
            left_behind = len(rows) == most
        self._sent = OutboxBatch(rows, [] if left_behind else labels, self.mark)
        return self._sent

    def _next_in_file(self, most: int) -> list[tuple[int, LoggedPrediction]]:
        with storage_errors(), self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(predictions.c.number, *_COLUMNS)
                .where(predictions.c.number > self.mark.predictions)
                .order_by(predictions.c.number)
                .limit(most)
            ).all()
        return [(number, LoggedPrediction(*row)) for number, *row in rows]

    def _next_labels(self, most: int) -> list[tuple[int, datetime, Label]]:
        with storage_errors(), self._engine.connect() as connection:
            labels = connection.execute(
                sa.select(ground_truth.c.number, ground_truth.c.labelled_at, *_LABEL_COLUMNS)
                .where(ground_truth.c.number > self.mark.labels)
                .order_by(ground_truth.c.number)
                .limit(most)
            ).all()
        return [(number, at, Label(*label)) for number, at, *label in labels]

    def arrive(self, receipt: Receipt) -> None:
        """Take over the position of a receipt, and the logged rows that take precedence over rows in this outbox."""
        # Before the lock is taken, because it may read the file.
        gone_predictions, gone_labels = self._gone(receipt.mark)
        with self._writing:
            if receipt.standing:
                self._take_over(receipt.standing)
            self._predictions -= gone_predictions
            self._labels -= gone_labels
            self.mark = receipt.mark
            while self._held and self._held[0][0] <= self.mark.predictions:
                self._held.popleft()
            # False again as soon as all waiting predictions are in memory too.
            self._only_in_file = self._only_in_file and self._predictions > len(self._held)
        if self.mark.beyond(self._noted) >= NOTED_EVERY:
            self.note()

    def _gone(self, mark: Mark) -> Sequence[int]:
        if mark == self._sent.end:
            return len(self._sent.predictions), len(self._sent.labels)
        with storage_errors(), self._engine.connect() as connection:
            return self._counts(connection, mark)

    def _take_over(self, standing: Sequence[LoggedPrediction]) -> None:
        with storage_errors(), self._engine.begin() as connection:
            for row in standing:
                same = predictions.c.request_id == row.request_id
                connection.execute(sa.update(predictions).where(same).values(asdict(row)))
        self.replaced += len(standing)

    def note(self) -> None:
        """Write the position to the file, and delete forwarded labels and the oldest forwarded predictions."""
        if self.mark == self._noted:
            return
        mark, number = self.mark, predictions.c.number
        newest = sa.select(number).where(number <= mark.predictions).order_by(number.desc())
        oldest = newest.limit(1).offset(REMEMBERED).scalar_subquery()
        with self._writing, storage_errors(), self._engine.begin() as connection:
            connection.execute(sa.update(arrived).values(asdict(mark)))
            connection.execute(sa.delete(ground_truth).where(ground_truth.c.number <= mark.labels))
            connection.execute(sa.delete(predictions).where(number <= oldest))
        self._noted = mark


def _number_labels_above(connection: sa.Connection, number: int) -> None:
    """Have SQLite number further labels above `number`, and above all that it has given."""
    name, sequence = ground_truth.name, sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    given = connection.scalar(sa.select(sequence.c.seq).where(sequence.c.name == name))
    if given is None:
        connection.execute(sa.insert(sequence).values(name=name, seq=number))
    else:
        connection.execute(sa.update(sequence).where(sequence.c.name == name).values(seq=max(given, number)))


def _count(table: sa.Table, after: int, until: int | None = None) -> sa.Select[Any]:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.number > after)
    return query if until is None else query.where(table.c.number <= until)


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY))


@dataclass(frozen=True)
class HeldOutbox:
    """An outbox with its lock, which is a separate file: SQLite itself locks the file of the outbox."""

    outbox: Outbox
    file: Path
    lock: int

    def release(self) -> None:
        """Close the outbox, and leave it to other processes."""
        # Before the lock, so that no other process opens a file that is still in use.
        self.outbox.close()
        os.close(self.lock)

    def remove(self) -> None:
        """Delete the outbox, and its lock last."""
        self.outbox.close()
        for ending in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        _lock_of(self.file).unlink(missing_ok=True)
        os.close(self.lock)


class OutboxFolder:
    """The folder of all outboxes of a home; `timeout_s` is how long to wait for a file that SQLite has locked."""

    def __init__(self, directory: Path, timeout_s: float) -> None:
        self._directory = directory
        self._timeout_s = timeout_s

    def take(self) -> HeldOutbox:
        """Return the abandoned outbox that was written last, else a new one.

        An abandoned one is mostly that of this process from before a restart.

        Raises:
            StorageUnavailable: no file can be written in the folder.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for held in self.abandoned():
                return held
            file = self._directory / f"{uuid.uuid4()}.db"
            lock = _locked(file)
        except OSError as error:
            raise StorageUnavailable(f"outbox: cannot be kept in {self._directory}: {error}") from error
        assert lock is not None
        return HeldOutbox(Outbox(file, self._timeout_s), file, lock)

    def abandoned(self) -> Iterator[HeldOutbox]:
        """Yield the abandoned outboxes, the newest first, each locked; the caller has to release or remove it.

        A file that cannot be read is left where it is.
        """
        for file in self._newest_first():
            lock = _locked(file)
            if lock is None:
                continue
            # Its process has removed it since it was listed; the lock file is a new one.
            if not file.exists():
                _lock_of(file).unlink(missing_ok=True)
                os.close(lock)
                continue
            try:
                outbox = Outbox(file, self._timeout_s)
            except (StorageUnavailable, sa.exc.DatabaseError) as error:
                logger.error("%s is not read: %s", file, error)
                os.close(lock)
                continue
            yield HeldOutbox(outbox, file, lock)

    def _newest_first(self) -> list[Path]:
        found = []
        for file in self._directory.glob("*.db"):
            try:
                found.append((file.stat().st_mtime, file))
            except FileNotFoundError:  # its process has just removed it
                continue
        return [file for _, file in sorted(found, reverse=True)]


def _lock_of(file: Path) -> Path:
    return file.with_suffix(".lock")


def _locked(file: Path) -> int | None:
    """Lock the outbox of a file, and return the descriptor that holds the lock until it is closed.

    Returns None if another process, or this one, holds the lock.
    """
    lock = os.open(_lock_of(file), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # flock belongs to the descriptor. A lock of `lockf` belongs to the process: it would not
        # exclude this one, and would end when any descriptor of the lock file is closed.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
