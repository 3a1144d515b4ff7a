"""Wall time, as a port: operations ask a clock, so that a replay or a test can hold it."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The current wall time, UTC-aware."""


class SystemClock(Clock):
    def now(self) -> datetime:
        return datetime.now(UTC)
