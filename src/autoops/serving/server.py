"""What `autoops serve` runs: one process that answers, or several that uvicorn starts, watches and replaces.

Of uvicorn's own is all that concerns processes and the socket that they share. Ours is a folder through which workers
know of each other, and that a worker ends when the process that would replace it has gone.
"""

import fcntl
import logging
import multiprocessing
import os
import pkgutil
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from autoops import logs
from autoops.errors import AutoOpsError
from autoops.serving import connections
from autoops.settings import Serving

logger = logging.getLogger(__name__)

_SHARED = "AUTOOPS_SHARED_BY_WORKERS"
_PREFIX = "autoops-workers-"
_LOOP = "autoops.serving.listener:Loop"

_LIFELESS_S = 30
"""A worker that is silent for so long is replaced: loading a large model may keep one from answering for seconds."""


def run(factory: str, serving: Serving) -> None:
    """Until a signal ends it. `factory`, such as `autoops.bootstrap:api`, is called in each process that answers."""
    logs.configure("api")
    if serving.workers == 1:
        connections.run(pkgutil.resolve_name(factory)(), serving)
        return
    options = connections.options(serving) | {"access_log": False, "log_config": None, "factory": True}
    with made_shared_folder() as folder:
        os.environ |= {_SHARED: str(folder), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        options |= {"workers": serving.workers, "timeout_worker_healthcheck": _LIFELESS_S, "loop": _LOOP}
        config = uvicorn.Config(partial(_worker, factory), serving.host, serving.port, **options)
        supervisor = _Supervisor(config, [config.bind_socket()])
        supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        sys.exit(STARTUP_FAILURE)


def shared_folder() -> Path | None:
    """Of the workers of this server, in one of them; None in a server that is one process."""
    named = os.environ.get(_SHARED)
    return Path(named) if named else None


class _Supervisor(Multiprocess):
    def keep_subprocess_alive(self) -> None:
        """A worker that dies while it is asked for a sign of life is known at once to be dead, because nobody else
        holds its end of the pipe; uvicorn would wait for an answer as long as for a silent one."""
        for worker in self.processes:
            worker.child_conn.close()
        super().keep_subprocess_alive()

    def terminate_all(self) -> None:
        """Who connects from now on is refused, as by a server of one process, and does not wait for nobody."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


def _worker(factory: str) -> Any:
    """What would fail in the next one as well ends the server."""
    logs.configure("api")
    _end_with_parent()
    try:
        return pkgutil.resolve_name(factory)()
    except AutoOpsError as error:
        logger.error("%s", error)
        sys.exit(STARTUP_FAILURE)


def _end_with_parent() -> None:
    """As a deploy would, however the parent has died: nobody would replace this one or tell it to stop, and it would
    keep the port."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


@contextmanager
def made_shared_folder() -> Iterator[Path]:
    """In the system's temporary folder, because the path of a socket may have a hundred bytes only. A lock says that it
    is in use until this process dies."""
    _remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_SH)
        try:
            yield Path(folder)
        finally:
            os.close(held)


def _remove_abandoned() -> None:
    """What servers left whose parent was killed. An empty one is being made."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            held = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if any(folder.iterdir()):
                    shutil.rmtree(folder)
            finally:
                os.close(held)
