"""Versions that are not loaded at each check: broken ones, and ones that failed for a local or passing reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from autoops.clock import Clock
from autoops.errors import BundleError, Unavailable
from autoops.models.registry import ModelVersion

RETRY, LONGEST = timedelta(seconds=30), timedelta(minutes=10)
"""First and longest pause before a version that failed for a local reason, such as a full disk, is tried again."""

INTERRUPTED = timedelta(seconds=2)
"""First pause before a download that the registry broke off is tried again."""

_MOST = 20

Identity = tuple[int, str]


@dataclass(frozen=True)
class Failure:
    """Why the followed version is not served; `version` is None if the registry did not return one."""

    reason: str
    at: datetime
    version: int | None


@dataclass(frozen=True)
class _Refusal:
    """A blocked version. With `until` None it is tried again only by a requested reload, or by another process."""

    failure: Failure
    until: datetime | None
    pause: timedelta


class BlockedVersions:
    """Blocked versions, by number and bundle digest: a version that has another digest is not blocked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusals: dict[Identity, _Refusal] = {}

    @property
    def broken(self) -> list[Failure]:
        """Return the failures of versions that do not verify or load, oldest first."""
        # A copy, because a thread that loads may change the dict meanwhile.
        return [refusal.failure for refusal in list(self._refusals.values()) if refusal.until is None]

    def holds(self, version: ModelVersion) -> Failure | None:
        """Return why the version must not be tried now, None if it may."""
        refusal = self._refusals.get(identity(version))
        if refusal is None or (refusal.until is not None and not self._is_within(refusal.until, refusal.pause)):
            return None
        return refusal.failure

    def _is_within(self, until: datetime, pause: timedelta) -> bool:
        """Return whether the pause lasts; a clock that was set back does not make it longer."""
        return until - pause <= self._clock.now() < until

    def add(self, version: ModelVersion, failure: Failure, error: Exception) -> None:
        """Block a version: a broken one without end, any other for a pause that doubles each time, up to `LONGEST`."""
        # Removed and added again, which keeps the dict in the order of the failures, oldest first.
        before = self._refusals.pop(identity(version), None)
        first = INTERRUPTED if isinstance(error, Unavailable) else RETRY
        pause = first if before is None else min(2 * before.pause, LONGEST)
        until = None if isinstance(error, BundleError) else self._clock.now() + pause
        self._refusals[identity(version)] = _Refusal(failure, until, pause)
        if len(self._refusals) > _MOST:
            del self._refusals[next(iter(self._refusals))]

    def release(self, version: ModelVersion) -> None:
        """Unblock the version, and forget its pause: the next failure begins with the first one."""
        self._refusals.pop(identity(version), None)


def identity(version: ModelVersion) -> Identity:
    """Return the number and the bundle digest, which is "" if the version has no such tag."""
    return version.number, version.tags.get("bundle_digest", "")
