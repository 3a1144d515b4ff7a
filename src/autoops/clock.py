"""Wall time, as a port: operations ask a clock, so that a replay or a test can control it."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Source of wall time; a replay or a test substitutes its own."""

    def now(self) -> datetime:
        """Return the current wall time, UTC-aware."""


class SystemClock(Clock):
    """The clock of the operating system."""

    def now(self) -> datetime:
        """Return the system's wall time, UTC-aware."""
        return datetime.now(UTC)
