"""Moves what waits in outboxes to the database, in its order, in a thread of its own.

While the database is away nobody waits for it: each row stays in its outbox, and the relay asks again.
"""

import logging
import threading
import time
from collections.abc import Callable

from autoops.errors import AutoOpsError
from autoops.serving.log.inbox import Inbox
from autoops.serving.log.outbox import HeldOutbox, Outbox, OutboxFolder
from autoops.serving.shutdown import SEND_ON_S

logger = logging.getLogger(__name__)

ROWS = 2_000
"""That one transaction takes in, of predictions and of labels each."""

PATIENCE_S = 1.0
"""How long a request waits for the database before it counts as away."""

_GATHER_S = 0.05
_RETRY_S = 0.5
_ADOPT_S = 5.0


class Forwarder:
    """Of one process: for its own outbox, and for those in `folder` whose process is gone."""

    def __init__(self, outbox: Outbox, folder: OutboxFolder, inbox: Inbox) -> None:
        self._outbox = outbox
        self._folder = folder
        self._inbox = inbox
        self._changed = threading.Condition()
        self._urgent = self._stopping = False
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._adopted: HeldOutbox | None = None
        self._look_at = 0.0
        self.away = False

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = SEND_ON_S) -> bool:
        """Moves what waits if the database is there, for so long at most. True: the thread has ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def deliver(self, patience_s: float = PATIENCE_S) -> bool:
        """For the thread that appends: waits until nothing is left in the outbox. False at once while the database is
        away or so much waits that it would take long."""
        if self.away or self._outbox.rows > ROWS:
            return False
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self.away or not self._outbox.rows, patience_s):
                self._is_away("it does not answer")
            return not self.away

    def _run(self) -> None:
        while not self._wait(self._pause_s()):
            self._attempt(self._step)
            if self.away and self._adopted:
                self._adopted.release()
                self._adopted = None
        self._attempt(self._empty)
        if self._adopted:
            self._adopted.release()

    def _pause_s(self) -> float:
        if self.away:
            return _RETRY_S
        return 0 if self._adopted or self._outbox.rows >= ROWS else _GATHER_S

    def _wait(self, pause_s: float) -> bool:
        """For more rows to come together, or for the database to come back. True: it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or (self._urgent and not self.away), pause_s)
            self._urgent = False
            return self._stopping

    def _attempt(self, action: Callable[[], bool]) -> None:
        """`action` says whether it has asked the database."""
        try:
            asked = action()
        except AutoOpsError as error:
            self._is_away(str(error))
        except Exception:  # whatever it is, the rows stay where they are, and serving goes on
            logger.exception("the outbox cannot be emptied; this will be tried again")
            self.away = True
        else:
            if asked and self.away:
                self.away = False
                logger.warning("the database is back, with %d rows to go", self._outbox.rows)
        with self._changed:
            self._changed.notify_all()

    def _is_away(self, reason: str) -> None:
        if not self.away:
            logger.warning("rows wait in the outbox: %s", reason)
        self.away = True

    def _step(self) -> bool:
        """Some rows of one's own, then some of a process that is gone, so that neither waits for the other."""
        asked = self._move(self._outbox)
        if time.monotonic() >= self._look_at:
            self._adopted = self._adopted or next(self._folder.abandoned(), None)
            self._look_at = time.monotonic() + (0 if self._adopted else _ADOPT_S)
        if self._adopted is None:
            return asked
        if not self._move(self._adopted.outbox):
            self._inbox.retire(self._adopted.outbox.id)
            self._adopted.remove()
            self._adopted = None
        return True

    def _empty(self) -> bool:
        asked = False
        while self._move(self._outbox):
            asked = True
        return asked

    def _move(self, outbox: Outbox) -> bool:
        """One transaction's worth of rows. False: none wait, and the database was not asked."""
        if not outbox.rows:
            outbox.note()
            return False
        outbox.arrive(self._inbox.take(outbox.id, outbox.next(ROWS)))
        with self._changed:
            self._changed.notify_all()
        return True
