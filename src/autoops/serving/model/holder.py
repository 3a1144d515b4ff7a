"""The loaded model versions of one API process: which one serves, which one is kept warm, why one is not loaded.

A request reads `current` once and uses that one handle throughout, so a swap in between cannot mix two versions.
"""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from autoops.clock import Clock
from autoops.errors import AutoOpsError, NotFound
from autoops.models.bundle_cache import touch
from autoops.models.registry import ModelVersion, Registry, champion_of
from autoops.models.scoring import Scorer
from autoops.redaction import redact
from autoops.serving.metrics import Metrics
from autoops.serving.model.blocked import BlockedVersions, Failure, identity
from autoops.serving.model.last_served import LastServed
from autoops.serving.model.loading import Loading, return_memory
from autoops.serving.model.trial import Cancellation

logger = logging.getLogger(__name__)

Outcome = Literal["unchanged", "swapped", "reverted", "from_cache", "skipped", "failed", "loading"]
"""`skipped`: the followed version failed before and is still blocked. `loading`: not done yet."""

Source = Literal["registry", "cache"]


@dataclass(frozen=True)
class Loaded:
    """A version that is verified and warm."""

    scorer: Scorer
    version: ModelVersion
    loaded_at: datetime
    source: Source

    def is_version(self, version: ModelVersion) -> bool:
        """Compare number and bundle digest: a registry that was set up anew counts from 1 again."""
        return identity(self.version) == identity(version)


class _Load:
    """A version that is being loaded, in a thread of its own."""

    def __init__(self, version: ModelVersion, source: Source) -> None:
        self.version = version
        self.source = source
        self.cancellation = Cancellation()
        self.outcome: Outcome = "loading"
        self.ended = threading.Event()

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.ended.set()


class Holder:
    """Follows a version of the registry: keeps it loaded, and the one before it.

    `refresh` and `look` are called from threads; `current` and `previous` may be read from anywhere.

    A check of the registry never waits for a load, so the alias can be followed back while a version is loading. After
    its load a version goes into service by another check, and only if the alias still points to it.
    """

    def __init__(
        self,
        registry: Registry,
        follows: str | int,
        last_served: LastServed,
        clock: Clock,
        observe: Callable[[Outcome], None] = lambda outcome: None,
        loading: Loading = Loading(),  # noqa: B008 - frozen
    ) -> None:
        self._registry = registry
        self._follows = follows
        self._last_served = last_served
        self._clock = clock
        self._loading = loading
        self._observe = observe
        self._lock = threading.Lock()
        self._swept = self._stopped = False
        self._load: _Load | None = None
        self._ready: Loaded | None = None
        self.quarantine = BlockedVersions(clock)
        self.current: Loaded | None = None
        self.previous: Loaded | None = None
        self.failure: Failure | None = None

    def refresh(self, insist: bool = False) -> Outcome:
        """Check the registry, wait for the load that follows, and return the outcome.

        Never raises: an error is in `failure`. With `insist`, a version that failed before is tried again.
        """
        outcome, load = self._look(insist)
        while load is not None:
            load.ended.wait()
            if load.outcome != "loading" or self._stopped:
                return load.outcome
            # The load was abandoned, or the alias has moved on since: the next outcome counts.
            outcome, load = self._look(insist=False)
        return outcome

    def look(self) -> Outcome:
        """Check the registry without waiting; return `loading` if a version has to be loaded first."""
        return self._look(insist=False)[0]

    def stop(self) -> None:
        """Cancel a load in progress, and begin no other; wait for nothing."""
        self._stopped = True
        load = self._load
        if load is not None:
            load.cancellation.cancel()

    def _look(self, insist: bool) -> tuple[Outcome, _Load | None]:
        """Check the registry; return the outcome, and the load that has to end first."""
        with self._lock:
            target = None
            self._keep_cache()
            try:
                target = self._target()
                outcome = self._take(target, insist)
            except Exception as error:  # noqa: BLE001 - the old version must go on serving whatever a broken one raises
                outcome = self._fail(error, target)
            load = self._load if outcome == "loading" else None
        return self._told(outcome), load

    def _told(self, outcome: Outcome) -> Outcome:
        if outcome != "loading":
            self._observe(outcome)
        return outcome

    def _keep_cache(self) -> None:
        """Keep the loaded versions on disk too, for a restart without the registry."""
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
        # A pinned version does not move: once it is loaded, the registry need not answer.
        for known in (self.current, self._ready):
            if known is not None and known.version.number == number and known.source == "registry":
                return known.version
        return self._registry.version(number)

    def _take(self, target: ModelVersion, insist: bool) -> Outcome:
        # Only for this check: dropped if the alias points elsewhere by now.
        ready, self._ready = self._ready, None
        load = self._load
        # A load from the cache goes on: it serves if the target turns out to be blocked.
        if load is not None and load.source == "registry" and identity(load.version) != identity(target):
            self._abandon()
        if self.current is not None and self.current.is_version(target):
            if self.current.source == "cache":
                self.current = replace(self.current, source="registry")
            self.failure = None
            return "unchanged"
        if self.previous is not None and self.previous.is_version(target):
            self._swap(replace(self.previous, source="registry"))
            return "reverted"
        if ready is not None and ready.is_version(target):
            self._swap(ready)
            return "swapped"
        if self._load is not None and identity(self._load.version) == identity(target):
            return "loading"
        held = self.quarantine.holds(target)
        if held is not None and not insist:
            self.failure = held
            return "skipped"
        return self._begin(target, "registry")

    def _abandon(self) -> None:
        if self._load is not None:
            self._load.cancellation.cancel()
            self._load = None

    def _begin(self, version: ModelVersion, source: Source) -> Outcome:
        self._abandon()
        if self._stopped:
            return "skipped"
        self._load = load = _Load(version, source)
        threading.Thread(target=self._run, args=(load,), name="model-load", daemon=True).start()
        return "loading"

    def _run(self, load: _Load) -> None:
        """Load a version; check the registry again before it goes into service.

        A version from the cache goes into service without that check.
        """
        # The first version loads at full speed, because there is no traffic beside it yet.
        cache, gives_way = self._last_served.cache, self.current is not None
        try:
            scorer = self._loading.load(self._registry, load.version, cache, load.cancellation, gives_way=gives_way)
            loaded = Loaded(scorer, load.version, self._clock.now(), load.source)
        except Exception as error:  # noqa: BLE001 - as in _look
            load.end(self._told(self._has_failed(load, error)))
            return
        cached = load.source == "cache"
        load.end(self._told(self._serve_from_cache(load, loaded)) if cached else self._offer(load, loaded))

    def _offer(self, load: _Load, loaded: Loaded) -> Outcome:
        with self._lock:
            if self._load is load:
                self._load, self._ready = None, loaded
        return self.look()

    def _serve_from_cache(self, load: _Load, loaded: Loaded) -> Outcome:
        with self._lock:
            # Abandoned meanwhile for a version from the registry.
            if self._load is not load:
                return "loading"
            self._load = None
            self.current = loaded
            number = loaded.version.number
            logger.warning("serving version %d from the cache", number, extra={"model_version": number})
            return "from_cache"

    def _has_failed(self, load: _Load, error: Exception) -> Outcome:
        """Record a failed load; return `loading` if it was abandoned for another load or a loaded version."""
        with self._lock:
            if self._load is not load:
                return "loading"
            self._load = None
            if load.source == "registry":
                return self._fail(error, load.version)
            number = load.version.number
            logger.warning("the cached version %d is not served: %s", number, error, extra={"model_version": number})
            return "failed"

    def _swap(self, loaded: Loaded) -> None:
        """Put a version into service; `failure` is cleared first, so that no reader sees it beside the new version."""
        self.failure = None
        self.previous, self.current = self.current, loaded
        self.quarantine.release(loaded.version)
        self._last_served.remember(loaded.version)
        # This also returns the memory of the version that was `previous` until now.
        return_memory()
        logger.info("serving version %d", loaded.version.number, extra={"model_version": loaded.version.number})

    def _fail(self, error: Exception, target: ModelVersion | None) -> Outcome:
        number = None if target is None else target.number
        # The text of an AutoOpsError is redacted already.
        reason = str(error) if isinstance(error, AutoOpsError) else redact(f"{type(error).__name__}: {error}")
        # Once for each reason: while the registry is away, every check fails with the same.
        if self.failure is None or self.failure.reason != reason:
            about = {} if number is None else {"model_version": number}
            logger.warning("version %s is not served: %s", number or f"({self._follows})", reason, extra=about)
        self.failure = Failure(reason, self._clock.now(), number)
        if target is not None:
            self.quarantine.add(target, self.failure, error)
        # NotFound is the registry's answer, which a version from the cache would hide.
        if self.current is None and not isinstance(error, NotFound):
            return self._from_cache()
        return "failed"

    def _from_cache(self) -> Outcome:
        """Load the version that this machine served last, so that a restart does not need the registry."""
        if self._load is not None:
            return "loading" if self._load.source == "cache" else "failed"
        version = self._last_served.recall()
        if version is None or (isinstance(self._follows, int) and version.number != self._follows):
            return "failed"
        return self._begin(version, "cache")

    def watch(self, metrics: Metrics) -> None:
        """Add gauges that are read at each scrape."""
        version = "autoops_model_version", "Version served, 0 for none"
        metrics.gauge(*version, lambda: 0 if (loaded := self.current) is None else loaded.version.number)
        failing = "autoops_model_reload_failing", "1: the followed version is not served"
        metrics.gauge(*failing, lambda: int(self.failure is not None))
        quarantined = "autoops_quarantined_versions", "Versions that do not verify"
        metrics.gauge(*quarantined, lambda: len(self.quarantine.broken))
        loaded_at = "autoops_model_loaded_timestamp_seconds", "When the served version was loaded"
        metrics.gauge(*loaded_at, lambda: self._seconds(lambda loaded: loaded.loaded_at))
        knows = "autoops_model_trained_until_timestamp_seconds", "Newest row that the served version was fitted on"
        metrics.gauge(*knows, lambda: self._seconds(lambda loaded: loaded.scorer.manifest.trained_until))

    def _seconds(self, moment: Callable[[Loaded], datetime]) -> float:
        """Return a timestamp of the served version in seconds, NaN if no version is served."""
        return math.nan if (loaded := self.current) is None else moment(loaded).timestamp()


def _newest_promoted(registry: Registry) -> ModelVersion:
    for version in registry.versions():
        if version.tags.get("gate_decision") == "promote" and "rolled_back" not in version.tags:
            return version
    raise NotFound("no version has passed the gate yet (tag gate_decision: promote)")
