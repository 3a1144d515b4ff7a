"""Advisory locks: work that only one process may do at a time. A later process waits, and then sees the results.

A row with a unique key would outlive a process that is killed; these locks end with the process. A suspended process
keeps its lock, because it would go on when it is continued. So no process waits without limit, and messages name the
holder of the lock.
"""

import fcntl
import logging
import os
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import sqlalchemy as sa

from autoops.errors import Conflict
from autoops.storage.database import storage_errors

logger = logging.getLogger(__name__)

_HELD = (
    "SET LOCAL idle_in_transaction_session_timeout = 0; "
    "SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3"
)
"""The transaction does nothing while the lock is held, however long; and the server notices in a minute, and not in
hours, that the host of the lock's holder has vanished."""

_LOCK_NOT_AVAILABLE = "55P03"
_LONGEST_NAME = 63
"""Bytes of PostgreSQL's application_name."""
_LOOK_EVERY_S = 0.2


@contextmanager
def advisory_lock(engine: sa.Engine, what: str, wait_s: float) -> Iterator[None]:
    """Hold the lock named `what` among all processes that work on this database.

    Raises:
        Conflict: another process has held it for all of `wait_s`; the message names it.
        StorageUnavailable: the database does not answer.
    """
    with (_on_sqlite if engine.dialect.name == "sqlite" else _on_postgresql)(engine, what, wait_s):
        yield


@contextmanager
def _on_sqlite(engine: sa.Engine, what: str, wait_s: float) -> Iterator[None]:
    """Lock a file beside the database, whose processes share a machine; the holder writes its name into the file."""
    assert engine.url.database
    # Append mode, which keeps the holder's name. The file is never deleted: whoever waits for a
    # deleted file and whoever makes a new one would both hold the lock.
    with Path(f"{engine.url.database}.{what}.lock").open("a+") as file:
        _lock(file, what, wait_s)
        with suppress(OSError):  # a full disk is no reason not to work
            file.truncate(0)
            since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
            file.flush()
        yield


def _lock(file: TextIO, what: str, wait_s: float) -> None:
    deadline, told = time.monotonic() + wait_s, False
    while True:
        # Polled, because flock takes no timeout.
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        file.seek(0)
        holder = file.read() or "another process"
        if time.monotonic() >= deadline:
            raise _held(what, holder, wait_s)
        if not told:
            _say(what, holder)
            told = True
        time.sleep(_LOOK_EVERY_S)


@contextmanager
def _on_postgresql(engine: sa.Engine, what: str, wait_s: float) -> Iterator[None]:
    """Hold the lock until the end of a transaction that does nothing else; the connection's name is the holder's."""
    # crc32, because hash() differs between processes.
    key = zlib.crc32(f"autoops {what}".encode())
    with storage_errors():
        connection = engine.connect()
    try:
        with storage_errors():
            # A transaction's lock, because PgBouncer may give the session to other clients.
            if not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(key))):
                _say(what, _holder(engine, key))
                _wait(connection, engine, key, what, wait_s)
            name = f"autoops {os.getpid()}@{socket.gethostname()}"[:_LONGEST_NAME]
            # `True` ends the setting with the transaction, as the connection returns to the pool.
            connection.execute(sa.select(sa.func.set_config("application_name", name, True)))
            connection.exec_driver_sql(_HELD)
        # Outside `storage_errors`, which would translate errors of the work under the lock.
        yield
    finally:
        # Rolls the transaction back, which releases the lock.
        connection.close()


def _wait(connection: sa.Connection, engine: sa.Engine, key: int, what: str, wait_s: float) -> None:
    # A lock_timeout of 0 would mean no limit.
    connection.execute(sa.select(sa.func.set_config("lock_timeout", f"{max(1, round(wait_s * 1000))}ms", True)))
    try:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise _held(what, _holder(engine, key), wait_s) from None


def _holder(engine: sa.Engine, key: int) -> str:
    """Return a description of the lock's holder, from the server's own views."""
    # pg_locks shows a key of 64 bits as two halves.
    query = sa.text(
        "SELECT a.application_name, a.client_addr::text, a.pid, a.xact_start FROM pg_locks l "
        "JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
        "AND l.classid::bigint = :high AND l.objid::bigint = :low LIMIT 1"
    )
    # Another connection: the transaction of the first one has failed if its wait timed out.
    with engine.connect() as connection:
        row = connection.execute(query, {"high": key >> 32, "low": key & 0xFFFFFFFF}).first()
    if row is None:
        return "another process"
    name, address, pid, since = row
    place = f", connected from {address}" if address else ""
    begun = f" since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return f"{name or 'a process'}{place} (PostgreSQL backend {pid}){begun}"


def _held(what: str, holder: str, wait_s: float) -> Conflict:
    return Conflict(
        f"the lock {what!r} was not free within {wait_s:g} s (storage.lock_timeout_s): {holder} holds it. If that "
        "process hangs or is stopped, continue it or end it, which frees the lock"
    )


def _say(what: str, holder: str) -> None:
    logger.info("another process is at the %s: waiting for it (%s)", what, holder)
