"""The loaded model versions of one API process: which one answers, which one is kept warm, why one is not taken.

A request reads `current` once and uses that one handle throughout, so a swap in between cannot mix two versions.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from autoops.bundle_cache import touch
from autoops.clock import Clock
from autoops.errors import AutoOpsError, NotFound
from autoops.redaction import redact
from autoops.registry import ModelVersion, Registry, champion_of
from autoops.scoring import Scorer
from autoops.serving.budget import UNLIMITED, Budget
from autoops.serving.last_served import LastServed
from autoops.serving.loading import load_beside
from autoops.serving.quarantine import Failure, Quarantine, identity

logger = logging.getLogger(__name__)

Outcome = Literal["unchanged", "swapped", "reverted", "from_cache", "skipped", "failed"]
"""`skipped`: the followed version failed before, and it is not time to try it again."""


@dataclass(frozen=True)
class Loaded:
    """A version that is verified and warm."""

    scorer: Scorer
    version: ModelVersion
    loaded_at: datetime
    source: Literal["registry", "cache"]

    def is_version(self, version: ModelVersion) -> bool:
        """By number and content: a registry that was set up anew counts from 1 again."""
        return identity(self.version) == identity(version)


class Holder:
    """`refresh` is called from threads; `current` and `previous` may be read from anywhere."""

    def __init__(
        self,
        registry: Registry,
        follows: str | int,
        last_served: LastServed,
        clock: Clock,
        observe: Callable[[Outcome], None] = lambda outcome: None,
        budget: Budget = UNLIMITED,
    ) -> None:
        self._registry = registry
        self._follows = follows
        self._last_served = last_served
        self._clock = clock
        self._budget = budget
        self._observe = observe
        self._lock = threading.Lock()
        self._swept = False
        self.quarantine = Quarantine(clock)
        self.current: Loaded | None = None
        self.previous: Loaded | None = None
        self.failure: Failure | None = None

    def refresh(self, insist: bool = False) -> Outcome:
        """One look at the registry, and whatever follows from it. Never raises: what went wrong is in `failure`.
        `insist` tries a version again that failed before."""
        with self._lock:
            target = None
            self._keep_cache()
            try:
                target = self._target()
                outcome = self._take(target, insist)
            except Exception as error:  # noqa: BLE001 - the old version must go on serving whatever a broken one raises
                outcome = self._fail(error, target)
        self._observe(outcome)
        return outcome

    def _keep_cache(self) -> None:
        """What is loaded stays on disk too, for a restart without the registry."""
        if not self._swept:
            self._last_served.sweep()
            self._swept = True
        for loaded in (self.current, self.previous):
            if loaded is not None:
                touch(loaded.scorer.directory)

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
            self.failure = None
            return "unchanged"
        if self.previous is not None and self.previous.is_version(target):
            self._swap(replace(self.previous, source="registry"))
            return "reverted"
        held = self.quarantine.holds(target)
        if held is not None and not insist:
            self.failure = held
            return "skipped"
        self._swap(self._load(target, "registry"))
        return "swapped"

    def _load(self, version: ModelVersion, source: Literal["registry", "cache"]) -> Loaded:
        traffic = self.current is not None
        scorer = load_beside(self._registry, version, self._last_served.cache, self._budget, gives_way=traffic)
        return Loaded(scorer, version, self._clock.now(), source)

    def _swap(self, loaded: Loaded) -> None:
        """Whoever sees the new version no longer sees what was in its way."""
        self.failure = None
        self.previous, self.current = self.current, loaded
        self.quarantine.release(loaded.version)
        self._last_served.remember(loaded.version)
        logger.info("serving version %d", loaded.version.number, extra={"model_version": loaded.version.number})

    def _fail(self, error: Exception, target: ModelVersion | None) -> Outcome:
        number = None if target is None else target.number
        reason = str(error) if isinstance(error, AutoOpsError) else redact(f"{type(error).__name__}: {error}")
        if self.failure is None or self.failure.reason != reason:
            about = {} if number is None else {"model_version": number}
            logger.warning("version %s is not served: %s", number or f"({self._follows})", reason, extra=about)
        self.failure = Failure(reason, self._clock.now(), number)
        if target is not None:
            self.quarantine.add(target, self.failure, error)
        if self.current is None and not isinstance(error, NotFound):
            return self._from_cache()
        return "failed"

    def _from_cache(self) -> Outcome:
        """What this machine served last, so that a restart does not need the registry."""
        version = self._last_served.recall()
        if version is None or (isinstance(self._follows, int) and version.number != self._follows):
            return "failed"
        about = {"model_version": version.number}
        try:
            self.current = self._load(version, "cache")
        except Exception as error:  # noqa: BLE001 - as in refresh
            logger.warning("the cached version %d is not served: %s", version.number, error, extra=about)
            return "failed"
        logger.warning("serving version %d from the cache", version.number, extra=about)
        return "from_cache"


def _newest_promoted(registry: Registry) -> ModelVersion:
    for version in registry.versions():
        if version.tags.get("gate_decision") == "promote" and "rolled_back" not in version.tags:
            return version
    raise NotFound("no version has passed the gate yet (tag gate_decision: promote)")
