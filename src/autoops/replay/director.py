"""The pace of a replay: a monitor that runs on wall time keeps up with traffic in event time.

A month passes in seconds, while the scheduled monitor checks every few seconds. In production many checks fall into a
day. Here the client waits, at even distances within a month and at its end, until the monitor has judged what arrived.
It never stops during a retraining: the swap happens under traffic.
"""

import threading
import time
from dataclasses import dataclass, field

from autoops.months import Month
from autoops.replay.pace import Pace
from autoops.replay.player import Listener
from autoops.replay.tally import Answer

SPARE = 1.15
"""Rows between two waits, in windows: labels lag behind, and a few rows pass during the wait."""

SLOWER = 10
"""The client slows down by this factor during a retraining."""

SLOW_SHARE = 0.4
"""Share of a month's rows that may pass at that rate; then the client crawls: the new version is to see the rest."""

CRAWL_PER_S = 2.0


@dataclass
class Director(Listener):
    """A listener that sets the pace.

    The player calls the methods of `Listener` on its own thread, the story calls all others on another thread. `window`
    is the number of rows that the monitor needs for a verdict. After `patience_s` (wall time) without a verdict the
    client goes on all the same. `version` is the version in charge: the newest that answered and was not rolled back.
    """

    pace: Pace
    rate: float
    window: int
    patience_s: float = 90
    rows: int = 0
    answered_in_month: int = 0
    unjudged: int = 0
    version: int = 0
    ended: list[Month] = field(default_factory=list)
    _waits_since: float | None = None
    _at_month_end: bool = False
    _under_way: bool = False
    _swapped: bool = False
    _mistake: int | None = None
    _rolled_back: set[int] = field(default_factory=set)
    # Reentrant: `_apply` runs under the lock and reads `waits`, which takes it.
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def month_began(self, month: Month, rows: int) -> None:
        """Record the month's number of `rows`, and count its answers from 0."""
        with self._lock:
            self.rows, self.answered_in_month = rows, 0

    def answered(self, month: Month, answer: Answer) -> None:
        """Count the answer and note a change of the version in charge; wait for the monitor where a wait is due."""
        with self._lock:
            self.answered_in_month += 1
            if self._takes_over(answer.model_version):
                # The first version of all replaces none.
                self._swapped = self._under_way and self.version > 0
                self.version, self.unjudged = answer.model_version, 0
            self.unjudged += answer.model_version == self.version
            if self._is_station(self.answered_in_month):
                self._wait(at_month_end=False)

    def _takes_over(self, version: int) -> bool:
        """Return whether an answer puts this version in charge; late answers of a replaced version do not."""
        return version not in self._rolled_back and (version > self.version or self.version in self._rolled_back)

    def month_ended(self, month: Month) -> None:
        """Record the month, and hold the client if a full window is not judged yet."""
        with self._lock:
            self.ended.append(month)
            self._wait(at_month_end=True)

    def judged(self, version: int) -> None:
        """Record that the monitor has judged the latest window of this version.

        A version that is to be rolled back is not done with that: the client waits for the rollback.
        """
        with self._lock:
            if version == self.version != self._mistake:
                self.unjudged = 0

    def expect_rollback(self, version: int) -> None:
        """Expect a rollback: once a window of this version is full, the client waits until another version answers."""
        with self._lock:
            self._mistake = version

    def rolled_back(self, version: int) -> None:
        """Record a rollback: the client waits until the restored version answers."""
        with self._lock:
            self._rolled_back.add(version)
            self._wait(at_month_end=False)

    def steer(self, retraining_under_way: bool) -> None:
        """Decide how the client goes on; called at every look of the story.

        Once the new version answers, the client does not slow down for the remaining steps of the retraining.
        """
        with self._lock:
            self._swapped = self._swapped and retraining_under_way
            self._under_way = retraining_under_way and not self._swapped
            self._apply()

    @property
    def waits(self) -> bool:
        """Return whether the client waits for the monitor."""
        with self._lock:
            if self._waits_since is None:
                return False
            return self.unjudged >= self.window and time.monotonic() - self._waits_since < self.patience_s

    def _is_station(self, answered: int) -> bool:
        """Return whether the client waits after so many answers.

        The month is divided into as many equal parts as are long enough to be judged; its end does not count here. A
        version that is to be rolled back gets one part of its own.
        """
        if self.version == self._mistake:
            return self.unjudged == int(SPARE * self.window)
        legs = max(1, int(self.rows / (SPARE * self.window)))
        return any(answered == self.rows * leg // legs for leg in range(1, legs))

    def _wait(self, at_month_end: bool) -> None:
        self._waits_since, self._at_month_end = time.monotonic(), at_month_end
        self._apply()

    def _apply(self) -> None:
        if not self.waits:
            self._waits_since = None
        # Before the waits: a retraining gets traffic, also at the end of an unjudged month.
        if self._under_way:
            slow = self.answered_in_month < SLOW_SHARE * self.rows
            self.pace.go(self.rate / SLOWER if slow else CRAWL_PER_S)
        elif self._waits_since is None:
            self.pace.go(self.rate)
        elif self._at_month_end:
            # Held, not slowed: rows of the next month would move the window out of this one.
            self.pace.hold()
        else:
            self.pace.go(CRAWL_PER_S)
