"""Sets the pace of a replay so that a monitor on wall time keeps up with traffic on event time.

A month passes in seconds, while the scheduled monitor looks every few seconds. In production many checks fall into a
day; here the client waits, at even distances within a month and at its end, until the monitor has judged what came. It
never stops while a retraining is under way: the swap happens under traffic.
"""

import threading
import time
from dataclasses import dataclass, field

from autoops.months import Month
from autoops.replay.pace import Pace
from autoops.replay.player import Listener
from autoops.replay.tally import Answer

SPARE = 1.15
"""Trips between two waits, in windows: labels lag behind, and a few trips go by during the wait."""

SLOWER = 10
"""The client slows down by this factor while a retraining is under way."""

SLOW_SHARE = 0.4
"""Share of a month's trips that may go by so, so that the new version sees the rest."""

CRAWL_PER_S = 2.0


@dataclass
class Director(Listener):
    """Called by the player on its thread, and by the story (all else) on another.

    `window` is what the monitor needs to judge. After `patience_s` without a verdict the client goes on all the same.
    `version` is the one in charge: the newest that answered and was not rolled back.
    """

    pace: Pace
    rate: float
    window: int
    patience_s: float = 90
    trips: int = 0
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
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def month_began(self, month: Month, trips: int) -> None:
        with self._lock:
            self.trips, self.answered_in_month = trips, 0

    def answered(self, month: Month, answer: Answer) -> None:
        with self._lock:
            self.answered_in_month += 1
            if self._takes_over(answer.model_version):
                self._swapped = self._under_way and self.version > 0
                self.version, self.unjudged = answer.model_version, 0
            self.unjudged += answer.model_version == self.version
            if self._is_station(self.answered_in_month):
                self._wait(at_month_end=False)

    def _takes_over(self, version: int) -> bool:
        """Answers that come late, of a version that is gone, take nothing over."""
        return version not in self._rolled_back and (version > self.version or self.version in self._rolled_back)

    def month_ended(self, month: Month) -> None:
        with self._lock:
            self.ended.append(month)
            self._wait(at_month_end=True)

    def judged(self, version: int) -> None:
        """The monitor has judged the latest window of this version. Of a mistake that is not the end of it."""
        with self._lock:
            if version == self.version != self._mistake:
                self.unjudged = 0

    def expect_rollback(self, version: int) -> None:
        """The version is a mistake: as soon as there is enough to tell, the client waits until another answers."""
        with self._lock:
            self._mistake = version

    def rolled_back(self, version: int) -> None:
        """The client waits until the version that was put back answers."""
        with self._lock:
            self._rolled_back.add(version)
            self._wait(at_month_end=False)

    def steer(self, retraining_under_way: bool) -> None:
        """Called every moment: decides how the client goes on. Once the new version answers, what a retraining
        has left to do is not waited for."""
        with self._lock:
            self._swapped = self._swapped and retraining_under_way
            self._under_way = retraining_under_way and not self._swapped
            self._apply()

    @property
    def waits(self) -> bool:
        """Whether the client waits for the monitor."""
        with self._lock:
            if self._waits_since is None:
                return False
            return self.unjudged >= self.window and time.monotonic() - self._waits_since < self.patience_s

    def _is_station(self, answered: int) -> bool:
        """The month is divided into as many even legs as are long enough to be judged; its end is not counted."""
        if self.version == self._mistake:
            return self.unjudged == int(SPARE * self.window)
        legs = max(1, int(self.trips / (SPARE * self.window)))
        return any(answered == self.trips * leg // legs for leg in range(1, legs))

    def _wait(self, at_month_end: bool) -> None:
        self._waits_since, self._at_month_end = time.monotonic(), at_month_end
        self._apply()

    def _apply(self) -> None:
        if not self.waits:
            self._waits_since = None
        if self._under_way:
            slow = self.answered_in_month < SLOW_SHARE * self.trips
            self.pace.go(self.rate / SLOWER if slow else CRAWL_PER_S)
        elif self._waits_since is None:
            self.pace.go(self.rate)
        elif self._at_month_end:
            self.pace.hold()
        else:
            self.pace.go(CRAWL_PER_S)
