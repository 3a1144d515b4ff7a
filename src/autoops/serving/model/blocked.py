"""Versions that are not worth loading at each look: broken ones, and ones that something local is in the way of."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from autoops.clock import Clock
from autoops.errors import BundleError, Unavailable
from autoops.models.registry import ModelVersion

RETRY, LONGEST = timedelta(seconds=30), timedelta(minutes=10)
"""Before a version that failed for a local reason, such as a full disk, is tried again, and how far that grows."""

INTERRUPTED = timedelta(seconds=2)
"""Before a download is tried again that the registry broke off, at first."""

_MOST = 20

Identity = tuple[int, str]


@dataclass(frozen=True)
class Failure:
    """Why the last look at the registry did not end with the followed version; `version` None: it was not found."""

    reason: str
    at: datetime
    version: int | None


@dataclass(frozen=True)
class _Refusal:
    """`until` None: until it is asked for by name, or the process ends."""

    failure: Failure
    until: datetime | None
    pause: timedelta


class BlockedVersions:
    """By number and content: a version is itself again only with the digest that it failed with."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusals: dict[Identity, _Refusal] = {}

    @property
    def broken(self) -> list[Failure]:
        """Versions that do not verify or do not load, oldest first."""
        return [refusal.failure for refusal in list(self._refusals.values()) if refusal.until is None]

    def holds(self, version: ModelVersion) -> Failure | None:
        """Why it is not to be tried now."""
        refusal = self._refusals.get(identity(version))
        if refusal is None or (refusal.until is not None and not self._is_within(refusal.until, refusal.pause)):
            return None
        return refusal.failure

    def _is_within(self, until: datetime, pause: timedelta) -> bool:
        """A clock that was put back does not make the pause longer."""
        return until - pause <= self._clock.now() < until

    def add(self, version: ModelVersion, failure: Failure, error: Exception) -> None:
        """A broken version stays; whatever else went wrong may pass, and is waited for twice as long each time."""
        before = self._refusals.pop(identity(version), None)
        first = INTERRUPTED if isinstance(error, Unavailable) else RETRY
        pause = first if before is None else min(2 * before.pause, LONGEST)
        until = None if isinstance(error, BundleError) else self._clock.now() + pause
        self._refusals[identity(version)] = _Refusal(failure, until, pause)
        if len(self._refusals) > _MOST:
            del self._refusals[next(iter(self._refusals))]

    def release(self, version: ModelVersion) -> None:
        self._refusals.pop(identity(version), None)


def identity(version: ModelVersion) -> Identity:
    return version.number, version.tags.get("bundle_digest", "")
