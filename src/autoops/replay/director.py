"""Sets the pace of a replay so that a monitor on wall time keeps up with traffic on event time.

A month passes in seconds, while the scheduled monitor looks every few seconds. In production many checks fall into a
day; here the client slows down after each window's worth of trips until the monitor has judged it. It never stops
while a retraining is under way: the swap happens under traffic.
"""

import threading
import time
from dataclasses import dataclass, field

from autoops.months import Month
from autoops.replay.pace import Pace
from autoops.replay.player import Listener
from autoops.replay.tally import Answer

SLOWER = 10
"""The client slows down by this factor while it waits for the monitor, or for a retraining."""

SLOW_SHARE = 0.4
"""Share of a month's trips that may go by while it waits, so that the new version sees the rest."""

CRAWL_PER_S = 1.0


@dataclass
class Director(Listener):
    """Called by the player on its thread, and by the story (`judged`, `steer`) on another.

    `window` is what the monitor needs to judge; a few more trips go by, because labels lag behind. After `patience_s`
    without a verdict the client goes on all the same.
    """

    pace: Pace
    rate: float
    window: int
    patience_s: float = 90
    month: Month | None = None
    trips: int = 0
    answered_in_month: int = 0
    unjudged: int = 0
    version: int = 0
    ended: list[Month] = field(default_factory=list)
    _at_boundary: bool = False
    _under_way: bool = False
    _swapped: bool = False
    _waits_since: float | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def station(self) -> int:
        """Trips after which the monitor gets its turn."""
        return self.window * 6 // 5

    def month_began(self, month: Month, trips: int) -> None:
        with self._lock:
            self.month, self.trips, self.answered_in_month = month, trips, 0

    def answered(self, month: Month, answer: Answer) -> None:
        with self._lock:
            self.answered_in_month += 1
            if answer.model_version > self.version:
                self.version, self.unjudged = answer.model_version, 0
                self._swapped = self._under_way
            self.unjudged += 1
            if self.unjudged == self.station:
                self._apply()

    def month_ended(self, month: Month) -> None:
        with self._lock:
            self.ended.append(month)
            self._at_boundary = True
            self._apply()

    def judged(self, version: int) -> None:
        """The monitor has judged the latest window of this version."""
        with self._lock:
            if version == self.version:
                self.unjudged = 0

    def steer(self, retraining_under_way: bool) -> None:
        """Called every moment: decides how the client goes on. Once the new version answers, what a retraining
        has left to do is not waited for."""
        with self._lock:
            self._swapped = self._swapped and retraining_under_way
            self._under_way = retraining_under_way and not self._swapped
            self._apply()

    @property
    def waits(self) -> bool:
        """Whether trips that could be judged are waiting for the monitor."""
        with self._lock:
            return self._unjudged_too_many() and not self._out_of_patience()

    def _apply(self) -> None:
        self._waits_since = (self._waits_since or time.monotonic()) if self._unjudged_too_many() else None
        holds = self._at_boundary and not self._under_way and self._unjudged_too_many()
        if holds and not self._out_of_patience():
            self.pace.hold()
            return
        self._at_boundary = False
        self.pace.go(self._rate())

    def _unjudged_too_many(self) -> bool:
        return self.unjudged >= (self.window if self._at_boundary else self.station)

    def _out_of_patience(self) -> bool:
        return self._waits_since is not None and time.monotonic() - self._waits_since >= self.patience_s

    def _rate(self) -> float:
        slow = self._under_way or (self._unjudged_too_many() and not self._out_of_patience())
        if not slow:
            return self.rate
        return self.rate / SLOWER if self.answered_in_month < SLOW_SHARE * self.trips else CRAWL_PER_S
