"""The one database of the schema in `tables`: SQLite (WAL) by default, PostgreSQL in the full stack."""

import logging
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
import tenacity
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from autoops.errors import SettingsError, StorageUnavailable
from autoops.redaction import public_url
from autoops.settings import Settings
from autoops.storage import label_ids, online_indexes, raw_inputs, tables

logger = logging.getLogger(__name__)


def connect(settings: Settings) -> sa.Engine:
    """Return an engine on `storage.url`; connects lazily.

    Raises:
        SettingsError: the URL is no URL of SQLite or PostgreSQL, or its driver is not installed.
        StorageUnavailable: the folder of a SQLite file cannot be made.
    """
    try:
        url = sa.make_url(settings.database_url)
        backend = url.get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise SettingsError(f"storage.url: expected sqlite or postgresql, got {backend}")
        return (_sqlite if backend == "sqlite" else _postgresql)(url, settings.storage.timeout_s)
    except sa.exc.ArgumentError as error:
        raise SettingsError(f"storage.url: {error}") from None
    except ModuleNotFoundError as error:
        raise SettingsError(f"storage.url: its driver {error.name} is not installed") from None


def embedded(file: Path, timeout_s: float) -> sa.Engine:
    """Return an engine on another SQLite file, set up like that of the default database."""
    return _sqlite(sa.URL.create("sqlite", database=str(file)), timeout_s)


def _json(value: object) -> str:
    """Return JSON with null for NaN and infinity, which PostgreSQL refuses in JSON."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _sqlite(url: sa.URL, timeout_s: float) -> sa.Engine:
    """Return an engine with WAL, which survives a killed process.

    Raises:
        StorageUnavailable: the folder of the file cannot be made.
    """
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"database: cannot make the folder of {url.database}: {error}") from error
    engine = sa.create_engine(url, connect_args={"timeout": timeout_s}, json_serializer=_json)
    sa.event.listen(engine, "connect", partial(_prepare_sqlite, timeout_s))
    return engine


def _postgresql(url: sa.URL, timeout_s: float) -> sa.Engine:
    """Return an engine with few connections and bounded waits.

    The API needs one connection for its writer and one for its heartbeat, a task needs one. Connecting, waiting for a
    lock and waiting for a silent host end after the timeout. Parameters in the URL take precedence.
    """
    seconds = math.ceil(timeout_s)
    defaults = {
        "application_name": "autoops",
        "connect_timeout": seconds,
        "options": f"-c lock_timeout={int(timeout_s * 1000)}",
        "keepalives_idle": seconds,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # Keepalives do not bound the wait for the acknowledgement of sent data.
        "tcp_user_timeout": int(timeout_s * 1000),
    }
    engine = sa.create_engine(
        url,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        pool_pre_ping=True,
        pool_size=2,
        max_overflow=3,
        pool_timeout=timeout_s,
        json_serializer=_json,
    )
    if "options" not in url.query:
        pooler = _Pooler(int(timeout_s * 1000))
        sa.event.listen(engine, "do_connect", pooler.connect)
        sa.event.listen(engine, "begin", pooler.begin)
    return engine


class _Pooler:
    """Connections that also work through PgBouncer, which refuses or drops the startup parameter `options`.

    In its transaction mode each transaction may run in another session of the server. So timeouts are set in each
    transaction, and no statement is prepared on the server. Our advisory locks end with their transaction anyway.
    """

    def __init__(self, lock_timeout_ms: int) -> None:
        self._lock_timeout_ms = lock_timeout_ms
        self._found = False

    def connect(self, dialect: Any, _record: object, _arguments: object, given: dict[str, Any]) -> Any:
        """Return a DBAPI connection. From the first timeout that does not reach the server on, a pooler is assumed."""
        if not self._found:
            try:
                connection: Any = dialect.connect(**given)
            except dialect.loaded_dbapi.OperationalError as error:
                if "startup parameter" not in str(error):
                    raise
            else:
                # A pooler may also drop `options` silently. SHOW would say 5s, not 5000.
                query = "SELECT setting FROM pg_settings WHERE name = 'lock_timeout'"
                arrived = connection.execute(query).fetchone()[0] == str(self._lock_timeout_ms)
                connection.rollback()
                if arrived:
                    return connection
                connection.close()
            self._found = True
            logger.info("the database is behind a pooler: timeouts are set in each transaction")
        return dialect.connect(
            **{name: given[name] for name in given if name != "options"} | {"prepare_threshold": None}
        )

    def begin(self, connection: sa.Connection) -> None:
        if self._found:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {self._lock_timeout_ms}")


def _prepare_sqlite(timeout_s: float, connection: sqlite3.Connection, _record: object) -> None:
    """Set the pragmas of a new connection.

    Of several processes that create the database one changes it to WAL. The others retry here, because SQLite does not
    wait for this lock, whatever its timeout is.
    """
    busy = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_busy),
        wait=tenacity.wait_random(0, 0.05),
        stop=tenacity.stop_after_delay(timeout_s),
        reraise=True,
    )
    # Takes effect only on a new file, before anything is written to it.
    busy(connection.execute, "PRAGMA auto_vacuum=INCREMENTAL")
    busy(connection.execute, "PRAGMA journal_mode=WAL")
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


_PAGES_PER_STEP = 2_000


def give_back(engine: sa.Engine) -> Iterator[int]:
    """Return free pages of SQLite's file to the disk in steps, yielding the number of free pages before each.

    Then empty the write-ahead log. PostgreSQL's autovacuum reuses the space by itself. A file of an earlier release
    keeps free pages for new rows until `compact` has rewritten it.
    """
    if engine.dialect.name != "sqlite":
        return
    with storage_errors(), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() == _INCREMENTAL:
            while free := int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0):
                driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
                # Each step of this statement moves one page, and the driver steps only scripts to their end.
                driver.executescript(f"PRAGMA incremental_vacuum({_PAGES_PER_STEP})")
                yield free
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()


def compact(engine: sa.Engine) -> None:
    """Rewrite SQLite's file without free pages, so that `give_back` works on it from now on.

    Needs as much free disk space as the file has, and blocks other writers. Does nothing on PostgreSQL.
    """
    if engine.dialect.name != "sqlite":
        return
    with storage_errors(), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
        connection.exec_driver_sql("VACUUM")


_INCREMENTAL = 2

MIGRATING = 0x6175746F6F7073
"""Key of the advisory lock that a migration holds on PostgreSQL: "autoops" in ASCII."""

_PREPARING = MIGRATING + 1


EARLIEST = "0005"
"""The revision of the first release. Downgrades below it would drop tables with rows."""


def newest_revision() -> str | None:
    """Return the newest revision that this installation knows, the one of its schema."""
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def upgrade(engine: sa.Engine, use_case: str | None = None) -> tuple[str | None, str | None]:
    """Migrate the schema to the newest revision, and return the revision before and after.

    Does nothing if it is there, or at a later revision that this installation can use. Of several processes one
    migrates while the others wait. With `use_case`, a database that belongs to none yet is this one's from now on.

    Raises:
        StorageUnavailable: this installation cannot use the schema, or the database is unavailable.
        SettingsError: the database is that of another use case.
    """
    revisions = _migrated(engine)
    if use_case is not None:
        _claim(engine, use_case)
    return revisions


def _claim(engine: sa.Engine, use_case: str) -> None:
    stored = sa.select(tables.installation.c.use_case)
    with storage_errors(), engine.begin() as connection:
        owner = connection.scalar(stored)
        if owner is None:
            # Of several first starts one inserts, and all read what it has inserted.
            insert = "INSERT INTO installation (id, use_case) VALUES (1, :use_case) ON CONFLICT DO NOTHING"
            connection.execute(sa.text(insert), {"use_case": use_case})
            owner = connection.scalar(stored)
    if owner != use_case:
        raise SettingsError(
            f"the database at {public_url(engine.url.render_as_string(hide_password=True))} is that of the use case "
            f"{owner}, and this installation's is {use_case}: set `usecase` back, or give this one a database of its "
            "own (storage.url, or storage.home for a SQLite file)"
        )


def _migrated(engine: sa.Engine) -> tuple[str | None, str | None]:
    with storage_errors(), engine.connect() as connection:
        # The usual start: it takes no lock and writes nothing.
        if _is_usable(connection):
            return (revision := _revision(connection)), revision
    with storage_errors():
        if engine.dialect.name != "postgresql":
            raw_inputs.prepare(engine)
            return _upgrade(engine)
        with _preparing(engine):
            with engine.connect() as connection:
                # Another process may have migrated while this one waited for the lock.
                done = _is_usable(connection)
            if not done:
                label_ids.prepare(engine)
                online_indexes.prepare(engine)
                raw_inputs.prepare(engine)
            return _upgrade(engine)


def _upgrade(engine: sa.Engine) -> tuple[str | None, str | None]:
    with engine.begin() as connection:
        _let_nobody_else_migrate(connection)
        before = _revision(connection)
        if not _is_usable(connection):
            command.upgrade(_alembic(connection), "head")
        return before, _revision(connection)


@contextmanager
def _preparing(engine: sa.Engine) -> Iterator[None]:
    """Hold the advisory lock of the process that prepares large tables and migrates.

    The lock belongs to a transaction that does nothing else, because PgBouncer gives a session to other clients. An
    index cannot be built concurrently while another transaction holds a snapshot. So the lock is polled: a process that
    waits inside a statement holds a snapshot. And the statement has no parameters: with them, its portal holds a
    snapshot until the next statement.
    """
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        while not connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({_PREPARING})").scalar_one():
            connection.rollback()
            time.sleep(0.5)
        # It idles while indexes are built, maybe for longer than the server allows.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def downgrade(engine: sa.Engine, revision: str) -> tuple[str | None, str | None]:
    """Migrate the schema back to an earlier revision, and return the revision before and after. Keeps all rows.

    Raises:
        SettingsError: the revision is not earlier, not known, or so early that rows would be lost.
    """
    with storage_errors(), engine.begin() as connection:
        _let_nobody_else_migrate(connection)
        before = _revision(connection)
        known = _revisions()
        earlier = [each for each in known if EARLIEST <= each <= (before or "")] if before in known else []
        if revision not in earlier:
            allowed = ", ".join(earlier) or "none that this installation knows"
            raise SettingsError(f"--to: expected one of {allowed}; the database is at {before}; got {revision}")
        command.downgrade(_alembic(connection), revision)
        return before, _revision(connection)


def _is_usable(connection: sa.Connection) -> bool:
    """Return whether there is nothing to migrate.

    Raises:
        StorageUnavailable: the schema is of a later release and not readable by this one.
    """
    revision, newest = _revision(connection), newest_revision()
    if revision is None or revision in _revisions():
        return revision == newest
    table = tables.schema_compatibility
    readable_from = None
    if sa.inspect(connection).has_table(table.name):
        readable_from = connection.scalar(sa.select(table.c.readable_from))
    if readable_from is None or (newest or "") < readable_from:
        raise StorageUnavailable(
            f"the database is at revision {revision}, and this installation knows none beyond {newest}: install the "
            f"newer release again, or have it go back first with `autoops migrate --to {newest}`"
        )
    logger.info("the database is at revision %s of a newer release, which this one can use", revision)
    return True


def upgrade_if_there(engine: sa.Engine, use_case: str | None = None) -> None:
    """Upgrade as `upgrade` does, but only log that the server is away.

    Raises:
        StorageUnavailable: this installation cannot use the schema.
        SettingsError: the database is that of another use case.
    """
    try:
        upgrade(engine, use_case)
    except StorageUnavailable as error:
        # Without such a cause the database has answered, and its schema cannot be used.
        if not isinstance(error.__cause__, sa.exc.SQLAlchemyError):
            raise
        logger.warning("%s", error)


def _alembic(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _revisions() -> list[str]:
    """Return the revisions that this installation knows, oldest first; each is a number of four digits."""
    return sorted(script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions())


def _let_nobody_else_migrate(connection: sa.Connection) -> None:
    """Hold the lock of a migration until the transaction ends.

    On PostgreSQL, wait for another migration without a limit; waits for tables keep their lock timeout.
    """
    if connection.dialect.name == "sqlite":
        # sqlite3 itself begins a transaction only before DML, and a migration begins with DDL.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    timeout = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATING)))
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{timeout}'")


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


_NOT_MIGRATED = ("42P01", "42703")
_READ_ONLY = "25006"
"""PostgreSQL's codes for a missing table or column, and for a server that takes no writes, such as a standby. SQLite
raises these as operational errors, and so does PostgreSQL with all others that are not the statement's fault."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Translate errors of an unavailable database.

    Raises:
        StorageUnavailable: it is away, starting, stopping, locked, full, read-only or not migrated, or no connection of
            the pool became free.
        DBAPIError: any other error of the database, unchanged.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        away = isinstance(error, sa.exc.OperationalError) or error.connection_invalidated
        if not away and state not in (*_NOT_MIGRATED, _READ_ONLY):
            raise
        raise StorageUnavailable(f"database: {' '.join(str(error.orig).split())}") from error
    except sa.exc.TimeoutError as error:
        raise StorageUnavailable(f"database: no connection became free: {error}") from error
