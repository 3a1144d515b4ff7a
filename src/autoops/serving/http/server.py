"""The server of `autoops serve`: one uvicorn server in this process. The API scales by replicas."""

import resource
import signal
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE

from autoops.serving.http.connections import KEEP_ALIVE_S, limited
from autoops.serving.shutdown import DRAIN_S, ends_in_time
from autoops.settings import Serving

_HEADERS = [
    ("content-security-policy", "frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
]
"""Of every response: browsers may not frame it or guess another content type. uvicorn encodes them once."""

_BACKLOG = 2048
_MOST_CONNECTIONS = 4_096
"""An idle connection takes some 10 KB. For more connections, run several replicas behind a gateway."""

_ENOUGH = 65_536
_OTHER_FILES = 256
"""File descriptors, and those among them that are not connections: of the database, the model, other threads."""


def run(app: FastAPI, serving: Serving) -> None:
    """Serve until a signal stops the server.

    The exit code is 0 after a graceful stop by SIGTERM. uvicorn alone would raise the signal again at the end, which
    many supervisors take for a failure.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = uvicorn.Server(config(ends_in_time(app, app.state.ends_within_s), serving))
    server.run()
    # As `uvicorn.run` does: `Server.run` returns normally if the startup fails.
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def config(app: Any, serving: Serving, **changes: Any) -> uvicorn.Config:
    """Return uvicorn's configuration; `changes` override it."""
    options: dict[str, Any] = {
        "host": serving.host,
        "port": serving.port,
        # Otherwise uvicorn reads WEB_CONCURRENCY, and several workers need an app that is an import string.
        "workers": 1,
        "http": limited(min(max(_descriptors() - _OTHER_FILES, 1), _MOST_CONNECTIONS)),
        "ws": "none",
        "access_log": False,
        # Otherwise uvicorn's loggers get handlers beside those of `telemetry.logs`.
        "log_config": None,
        "server_header": False,
        "headers": _HEADERS,
        "backlog": _BACKLOG,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": int(serving.timeout_s) + DRAIN_S,
    }
    return uvicorn.Config(app, **options | changes)


def _descriptors() -> int:
    """Raise the limit of file descriptors as far as is allowed, up to `_ENOUGH`, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        return soft
    return wanted
