"""Periodic work in a thread, off the event loop."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from autoops.errors import AutoOpsError
from autoops.serving.shutdown import LAST_ACTION_S

logger = logging.getLogger(__name__)


class Periodic:
    """Calls `action` at once, every `interval_s` after it has ended, and whenever `wake` is called."""

    def __init__(self, name: str, interval_s: float, action: Callable[[], object]) -> None:
        self._interval_s = interval_s
        self._action = action
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread, a daemon."""
        self._thread.start()

    def wake(self) -> None:
        """Have the action called without delay, after a call in progress has ended; for any thread."""
        self._wake.set()

    def stop(self, timeout_s: float = LAST_ACTION_S) -> None:
        """Stop, and wait until the action has ended, for `timeout_s` at most."""
        stop_all([self], timeout_s)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._action()
            except AutoOpsError as error:
                logger.warning("%s failed, and will be tried again: %s", self._thread.name, error)
            except Exception:  # one failure must not end the thread
                logger.exception("%s failed, and will be tried again", self._thread.name)
            self._wake.wait(self._interval_s)
            self._wake.clear()


def stop_all(periodics: Sequence[Periodic], timeout_s: float = LAST_ACTION_S) -> None:
    """Stop them together, and wait until all actions have ended, for `timeout_s` at most."""
    ends_at = time.monotonic() + timeout_s
    for periodic in periodics:
        # Before the wake: a thread that wakes and sees no stop waits for a whole interval again.
        periodic._stopping = True
        periodic.wake()
    for periodic in periodics:
        periodic._thread.join(max(ends_at - time.monotonic(), 0))
