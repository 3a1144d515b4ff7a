"""What only one process may do at a time: whoever comes later waits, and then sees what the first has done.

A row with a unique key would outlive a process that is killed; these locks end with it.
"""

import fcntl
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from autoops.database import storage_errors

logger = logging.getLogger(__name__)

_PATIENT = "SET LOCAL lock_timeout = 0"
_WATCHED = (
    "SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3"
)
"""The server finds out in a minute, and not in hours, that the host of whoever holds a lock has vanished."""


@contextmanager
def alone(engine: sa.Engine, what: str) -> Iterator[None]:
    """Among all who work on this database. Raises StorageUnavailable."""
    with (_on_sqlite if engine.dialect.name == "sqlite" else _on_postgresql)(engine, what):
        yield


@contextmanager
def _on_sqlite(engine: sa.Engine, what: str) -> Iterator[None]:
    """Its processes share a machine, and this is a file beside the database."""
    assert engine.url.database
    with Path(f"{engine.url.database}.{what}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(what)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _on_postgresql(engine: sa.Engine, what: str) -> Iterator[None]:
    """Until the end of a transaction that does nothing else."""
    key = zlib.crc32(f"autoops {what}".encode())
    with storage_errors():
        connection = engine.connect()
    try:
        with storage_errors():
            if not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(key))):
                _say(what)
                connection.exec_driver_sql(_PATIENT)
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
            connection.exec_driver_sql(_WATCHED)
        yield
    finally:
        connection.close()


def _say(what: str) -> None:
    logger.info("another process is at the %s: waiting for it", what)
