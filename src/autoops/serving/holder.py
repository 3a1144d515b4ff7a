"""The loaded model versions of one API process: which one answers, which one is kept warm, why one is not taken.

A request reads `current` once and uses that one handle throughout, so a swap in between cannot mix two versions.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from autoops.clock import Clock
from autoops.errors import AutoOpsError, BundleError, NotFound, Unavailable
from autoops.registry import ModelVersion, Registry, champion_of
from autoops.scoring import Scorer, load_version
from autoops.serving.last_served import LastServed

logger = logging.getLogger(__name__)

Outcome = Literal["unchanged", "swapped", "reverted", "from_cache", "skipped", "failed"]
"""`skipped`: the followed version failed before and nothing has changed since."""

RETRY = timedelta(seconds=30)
"""Before a version that failed for a local reason, such as a full disk, is tried again."""

_WARM_UP_ROWS = 20


@dataclass(frozen=True)
class Loaded:
    """A version that is verified and warm."""

    scorer: Scorer
    version: ModelVersion
    loaded_at: datetime
    source: Literal["registry", "cache"]

    def is_version(self, version: ModelVersion) -> bool:
        """By number and content: a registry that was set up anew counts from 1 again."""
        return _identity(self.version) == _identity(version)


@dataclass(frozen=True)
class Failure:
    """Why the last look at the registry did not end with the followed version; `version` None: it was not found."""

    reason: str
    at: datetime
    version: int | None


@dataclass(frozen=True)
class _Refusal:
    """A version that is not worth loading again before `until`; None means: until something changes."""

    identity: tuple[int, str]
    until: datetime | None
    failure: Failure


class Holder:
    """`refresh` is called from threads; `current` and `previous` may be read from anywhere."""

    def __init__(
        self,
        registry: Registry,
        follows: str | int,
        last_served: LastServed,
        clock: Clock,
        observe: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._registry = registry
        self._follows = follows
        self._last_served = last_served
        self._clock = clock
        self._observe = observe
        self._lock = threading.Lock()
        self._refusal: _Refusal | None = None
        self.current: Loaded | None = None
        self.previous: Loaded | None = None
        self.failure: Failure | None = None

    def refresh(self, insist: bool = False) -> Outcome:
        """One look at the registry, and whatever follows from it. Never raises: what went wrong is in `failure`.
        `insist` tries a version again that failed before."""
        with self._lock:
            target = None
            try:
                target = self._target()
                outcome = self._take(target, insist)
            except Exception as error:  # noqa: BLE001 - the old version must go on serving whatever a broken one raises
                outcome = self._fail(error, target)
        self._observe(outcome)
        return outcome

    def _target(self) -> ModelVersion:
        if isinstance(self._follows, int):
            return self._pinned(self._follows)
        if self._follows == "latest":
            return _newest_promoted(self._registry)
        return champion_of(self._registry)

    def _pinned(self, number: int) -> ModelVersion:
        current = self.current
        if current is not None and current.version.number == number and current.source == "registry":
            return current.version
        return self._registry.version(number)

    def _take(self, target: ModelVersion, insist: bool) -> Outcome:
        if self.current is not None and self.current.is_version(target):
            if self.current.source == "cache":
                self.current = replace(self.current, source="registry")
            return self._settle("unchanged")
        if self.previous is not None and self.previous.is_version(target):
            self._swap(replace(self.previous, source="registry"))
            return self._settle("reverted")
        refusal = self._refusal
        if refusal is not None and not insist and self._holds(refusal, target):
            self.failure = refusal.failure
            return "skipped"
        self._swap(self._load(target, "registry"))
        return self._settle("swapped")

    def _settle(self, outcome: Outcome) -> Outcome:
        self.failure = self._refusal = None
        return outcome

    def _holds(self, refusal: _Refusal, target: ModelVersion) -> bool:
        if refusal.identity != _identity(target):
            return False
        return refusal.until is None or self._clock.now() < refusal.until

    def _load(self, version: ModelVersion, source: Literal["registry", "cache"]) -> Loaded:
        if "bundle_digest" not in version.tags:
            raise BundleError(f"version {version.number} names no bundle (tag bundle_digest)")
        scorer = load_version(self._registry, version, self._last_served.cache)
        row = np.zeros((1, len(scorer.manifest.features)), dtype=np.float32)
        for _ in range(_WARM_UP_ROWS):
            scorer.predict(row)
        return Loaded(scorer, version, self._clock.now(), source)

    def _swap(self, loaded: Loaded) -> None:
        self.previous, self.current = self.current, loaded
        self._last_served.remember(loaded.version)
        logger.info("serving version %d", loaded.version.number)

    def _fail(self, error: Exception, target: ModelVersion | None) -> Outcome:
        number = None if target is None else target.number
        reason = str(error) if isinstance(error, AutoOpsError) else f"{type(error).__name__}: {error}"
        if self.failure is None or self.failure.reason != reason:
            logger.warning("version %s is not served: %s", number or f"({self._follows})", reason)
        self.failure = Failure(reason, self._clock.now(), number)
        if target is not None and not isinstance(error, Unavailable):
            until = None if isinstance(error, BundleError) else self._clock.now() + RETRY
            self._refusal = _Refusal(_identity(target), until, self.failure)
        if self.current is None and not isinstance(error, NotFound):
            return self._from_cache()
        return "failed"

    def _from_cache(self) -> Outcome:
        """What this machine served last, so that a restart does not need the registry."""
        version = self._last_served.recall()
        if version is None or (isinstance(self._follows, int) and version.number != self._follows):
            return "failed"
        try:
            self.current = self._load(version, "cache")
        except Exception as error:  # noqa: BLE001 - as in refresh
            logger.warning("the cached version %d is not served: %s", version.number, error)
            return "failed"
        logger.warning("serving version %d from the cache", version.number)
        return "from_cache"


def _identity(version: ModelVersion) -> tuple[int, str]:
    return version.number, version.tags.get("bundle_digest", "")


def _newest_promoted(registry: Registry) -> ModelVersion:
    for version in registry.versions():
        if version.tags.get("gate_decision") == "promote" and "rolled_back" not in version.tags:
            return version
    raise NotFound("no version has passed the gate yet (tag gate_decision: promote)")
