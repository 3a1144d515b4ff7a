"""The pace of requests: a rate, a speed of event time, or both; it can be held and stopped."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from autoops.errors import InputError

MAX_BACKLOG_S = 0.5
"""A replay that fell behind catches up by at most so many seconds, so that it never bursts."""

LOOK_S = 0.05
"""Seconds between two looks of a held replay at whether it may go on."""


class Pace:
    """`rate` is in requests per second, `speed` in event seconds per wall second; None sets no limit.

    `rate` may be changed, and `hold` and `stop` called, from another thread while a replay runs.
    """

    def __init__(
        self,
        rate: float | None = None,
        speed: float | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        for name, value in (("rate", rate), ("speed", speed)):
            if value is not None and value <= 0:
                raise InputError(f"{name}: expected a number above 0, got {value:g}")
        self.rate = rate
        self._speed = speed
        self._now = now
        self._sleep = sleep
        self._held = False
        self._stopped = False
        self._due: float | None = None
        self._event_at: datetime | None = None

    def hold(self) -> None:
        """Hold the replay until `go` or `stop` is called."""
        self._held = True

    def go(self, rate: float | None) -> None:
        """Go on, at this rate."""
        # First: a held replay that wakes between the two lines must not use the old rate.
        self.rate = rate
        self._held = False

    def stop(self) -> None:
        """Stop the replay for good: `turn` returns False within a second, whether held or waiting."""
        self._stopped = True

    async def turn(self, event_at: datetime) -> bool:
        """Wait until a row of this event time is due; return False once the replay is stopped."""
        while self._held and not self._stopped:
            # Time on hold is no backlog to catch up with.
            self._due = None
            await self._sleep(LOOK_S)
        if self._due is None or self._event_at is None:
            self._due = self._now()
        else:
            self._due = max(self._due + self._gap_s(event_at), self._now() - MAX_BACKLOG_S)
        self._event_at = event_at
        while not self._stopped and (wait := self._due - self._now()) > 0:
            await self._sleep(min(wait, 1.0))
        return not self._stopped

    def _gap_s(self, event_at: datetime) -> float:
        assert self._event_at is not None
        by_rate = 0.0 if self.rate is None else 1 / self.rate
        by_speed = 0.0 if self._speed is None else (event_at - self._event_at).total_seconds() / self._speed
        return max(by_rate, by_speed)
