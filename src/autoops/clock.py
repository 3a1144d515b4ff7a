"""Wall time, as a port: operations ask a clock, so that a replay or a test can control it."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the current wall time, UTC-aware."""


class SystemClock(Clock):
    def now(self) -> datetime:
        return datetime.now(UTC)
