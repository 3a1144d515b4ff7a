"""How long the shutdown of the API takes at most: a supervisor must not kill it earlier.

The steps run one after another, and each waits for requests or for the database no longer than its timeout. Without
timeouts a database that accepts connections and never responds would block them forever.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops.errors import StorageUnavailable
from autoops.settings import Settings

logger = logging.getLogger(__name__)

DRAIN_S = 10
"""For the requests in progress, on top of the time that a request may wait for its commit."""

SEND_ON_S = 10.0
"""For the rows of the outbox to reach the database; those that do not stay in the outbox."""

LAST_ACTION_S = 5.0
"""For a check of the registry or a heartbeat in progress."""

_PERIODICS = 2
_END_S = 5
"""For the process itself to end."""

_BY_FORCE = 70
"""Exit code of a process that did not end by itself: EX_SOFTWARE."""


@dataclass(frozen=True)
class ShutdownTimeouts:
    """For the last commit, and for emptying the outbox and deregistering the instance at the very end."""

    commit_s: float
    deregister_s: float

    @classmethod
    def of(cls, settings: Settings) -> "ShutdownTimeouts":
        """Return the timeouts in seconds, which depend on `storage.timeout_s` only."""
        return cls(settings.storage.timeout_s, SEND_ON_S + settings.storage.timeout_s)


def stops_within_s(settings: Settings) -> int:
    """Return the longest time from SIGTERM to the end of the process."""
    return math.ceil(settings.serving.timeout_s + DRAIN_S + ends_within_s(settings))


def ends_within_s(settings: Settings) -> float:
    """Return the longest time from the end of the last request to that of the process."""
    timeouts = ShutdownTimeouts.of(settings)
    return timeouts.commit_s + _PERIODICS * LAST_ACTION_S + timeouts.deregister_s + _END_S


def ends_in_time(app: ASGIApp, within_s: float) -> ASGIApp:
    """Wrap the app so that its process ends within `within_s` after the shutdown event of the lifespan.

    It ends whatever still runs then, such as a model that never returns or a trace collector that does not respond.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_or_end() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                threading.Thread(target=_end_by_force, args=(within_s,), name="end", daemon=True).start()
            return message

        await app(scope, receive_or_end if scope["type"] == "lifespan" else receive, send)

    return wrapped


def _end_by_force(after_s: float) -> None:
    time.sleep(after_s)
    # Daemon threads keep no process alive.
    running = ", ".join(sorted(thread.name for thread in threading.enumerate() if not thread.daemon))
    logger.error("ended by force %g s after it was told to stop; still running: %s", after_s, running)
    # `sys.exit` would end only this thread, and a normal exit would join the threads that hang.
    os._exit(_BY_FORCE)


def deregister(action: Callable[[], None], within_s: float) -> None:
    """Run `action` for `within_s` at most, and only log a failure.

    An instance that does not deregister is forgotten after its last heartbeat, and its outbox is adopted.
    """

    def attempt() -> None:
        try:
            action()
        except StorageUnavailable as error:
            logger.warning("this instance could not deregister: %s", error)

    thread = threading.Thread(target=attempt, name="sign-off", daemon=True)
    thread.start()
    thread.join(within_s)
    if thread.is_alive():
        logger.warning("this instance could not deregister: the database does not answer")
