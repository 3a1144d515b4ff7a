"""Forwarding of rows from outboxes to the database, in order, in a thread of its own.

While the database is unavailable, no request waits for it: rows stay in their outbox, and the forwarder tries again.
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
"""Maximum of predictions, and of labels, in one transaction."""

PATIENCE_S = 1.0
"""How long a request waits for the database before it counts as unavailable."""

# How long rows gather for one transaction, unless a request waits for its row.
_GATHER_S = 0.05
_RETRY_S = 0.5
_ADOPT_S = 5.0


class Forwarder:
    """The forwarder of one process: for its own outbox, and for those in `folder` whose process has ended."""

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
        """Start the forwarding thread, a daemon."""
        self._thread.start()

    def stop(self, timeout_s: float = SEND_ON_S) -> bool:
        """Forward the remaining rows if the database is available, for `timeout_s` at most.

        Returns whether the thread has ended.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def deliver(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait until the outbox is empty, and return whether it is; for the thread that appends.

        Returns False at once while the database is unavailable, or if more rows wait than one transaction takes. The
        database counts as unavailable if the outbox is not empty after `patience_s`.
        """
        if self.away or self._outbox.rows > ROWS:
            return False
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self.away or not self._outbox.rows, patience_s):
                # From now on no other request waits for `patience_s`.
                self._is_away("it does not answer")
            return not self.away

    def _run(self) -> None:
        while not self._wait(self._pause_s()):
            self._attempt(self._step)
            # Released, so that another process can try to forward these rows.
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
        """Wait for more rows, or for the next attempt to reach the database; return whether to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or (self._urgent and not self.away), pause_s)
            self._urgent = False
            return self._stopping

    def _attempt(self, action: Callable[[], bool]) -> None:
        """Run `action`, which returns whether it has used the database, and update `away` by its outcome."""
        try:
            asked = action()
        except AutoOpsError as error:
            self._is_away(str(error))
        except Exception:  # whatever it is, the rows stay in the outbox, and serving goes on
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
        """Forward some rows of this process, then some of an ended one, so that neither waits for the other.

        Returns whether it has used the database.
        """
        asked = self._move(self._outbox)
        if time.monotonic() >= self._look_at:
            self._adopted = self._adopted or next(self._folder.abandoned(), None)
            # Once an abandoned outbox is empty, the next one is looked for at once.
            self._look_at = time.monotonic() + (0 if self._adopted else _ADOPT_S)
        if self._adopted is None:
            return asked
        if not self._move(self._adopted.outbox):
            # Before the file: a failure in between leaves an empty outbox, to be adopted again.
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
        """Forward the rows of one transaction; return False, without using the database, if there are none."""
        if not outbox.rows:
            # Now and not later: a process that is killed while it is idle sends nothing again.
            outbox.note()
            return False
        outbox.arrive(self._inbox.take(outbox.id, outbox.next(ROWS)))
        with self._changed:
            self._changed.notify_all()
        return True
