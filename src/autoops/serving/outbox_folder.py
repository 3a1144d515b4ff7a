"""The outboxes of all processes that share a folder: each belongs to the process that holds its lock.

The system lets go of a lock when its process ends, however that comes about, so an outbox without one is abandoned.
"""

import fcntl
import logging
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from autoops.errors import StorageUnavailable
from autoops.serving.outbox import Outbox

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOutbox:
    """An outbox with its lock, which is a file beside it: SQLite has locks of its own on the database."""

    outbox: Outbox
    file: Path
    lock: int

    def release(self) -> None:
        """Leaves it to others."""
        self.outbox.close()
        os.close(self.lock)

    def remove(self) -> None:
        """Deletes it for good; the lock goes last."""
        self.outbox.close()
        for ending in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        _lock_of(self.file).unlink()
        os.close(self.lock)


class OutboxFolder:
    """`timeout_s` is how long to wait for a locked file."""

    def __init__(self, directory: Path, timeout_s: float) -> None:
        self._directory = directory
        self._timeout_s = timeout_s

    def take(self) -> HeldOutbox:
        """The abandoned outbox that was written last, which is mostly one's own from before a restart, else a new one.
        Raises StorageUnavailable when the folder takes no file."""
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
        """Locks each; what is done with it is up to the caller. A file that cannot be read is left where it is."""
        for file in self._newest_first():
            lock = _locked(file)
            if lock is None:
                continue
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
            except FileNotFoundError:  # its process has just emptied it
                continue
        return [file for _, file in sorted(found, reverse=True)]


def _lock_of(file: Path) -> Path:
    return file.with_suffix(".lock")


def _locked(file: Path) -> int | None:
    """The descriptor that holds the lock until it is closed; None: another process, or this one, holds it."""
    lock = os.open(_lock_of(file), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
