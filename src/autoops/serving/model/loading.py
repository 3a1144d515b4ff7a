"""Loading of a version beside traffic: a trial in a process of its own, then a build in a thread of low priority."""

import contextlib
import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from autoops.errors import BundleError
from autoops.models import bundle
from autoops.models.bundle_cache import CachedBundle, fetch_bundle
from autoops.models.registry import ModelVersion, Registry
from autoops.models.scoring import Scorer, give_way, golden_rows
from autoops.serving.model.budget import UNLIMITED, Budget
from autoops.serving.model.trial import Bounds, Cancellation, Crashed, Hung, Trial, no_trial

_NICER_BY = 10
_WARM_UP_ROWS = 20

T = TypeVar("T")


@dataclass(frozen=True)
class Loading:
    """How a version is loaded, and how much memory and time it may take."""

    budget: Budget = UNLIMITED
    timeout_s: float = 60
    trial: Trial = no_trial

    def load(
        self, registry: Registry, version: ModelVersion, cache: Path, cancellation: Cancellation, *, gives_way: bool
    ) -> Scorer:
        """Return the version, verified and warm. `gives_way` lowers the priority of the load below that of traffic.

        Raises:
            BundleError: the version does not verify, load or predict, or not in time.
            MemoryError: there is too little memory now.
            RegistryUnavailable: the download breaks off.
            Cancelled: by `cancellation`.
        """
        found = fetch_bundle(registry, version, cache, self.budget.admit)
        cancellation.check()
        self._try(found, version, cancellation, _NICER_BY if gives_way else 0)
        try:
            return _beside(lambda: _built(found), gives_way, self.timeout_s)
        except TimeoutError:
            # The thread goes on, because nothing can end a thread from outside.
            raise self._too_slow() from None

    def _try(self, found: CachedBundle, version: ModelVersion, cancellation: Cancellation, nicer_by: int) -> None:
        rows, _ = golden_rows(found.directory, found.manifest)
        model = found.directory / bundle.MODEL
        free = self.budget.available()
        try:
            self.trial(model, rows, Bounds(self.timeout_s, free, nicer_by), cancellation)
        except Hung:
            raise self._too_slow() from None
        except Crashed as error:
            raise BundleError(f"{bundle.MODEL} ends the process that runs it: {error}") from None
        except MemoryError:
            size = model.stat().st_size
            raise MemoryError(
                f"the model of version {version.number} has {size / 1e6:.1f} MB: "
                f"loading it takes more memory than the {free / 1e6:.0f} MB that are free"
            ) from None

    def _too_slow(self) -> BundleError:
        return BundleError(
            f"{bundle.MODEL} does not load and answer within {self.timeout_s:g} s (serving.load_timeout_s)"
        )


def _built(found: CachedBundle) -> Scorer:
    scorer = Scorer(found.directory, found.manifest)
    scorer.verify_golden_rows()
    row = np.zeros((1, len(scorer.manifest.features)), dtype=np.float32)
    for _ in range(_WARM_UP_ROWS):
        scorer.predict(row)
    return_memory()
    return scorer


def _beside(work: Callable[[], T], gives_way: bool, within_s: float) -> T:
    """Return the result of `work`, which runs in a daemon thread: a process that ends does not wait for it.

    Raises:
        TimeoutError: `work` takes longer than `within_s`.
    """
    done: Future[T] = Future()

    def run() -> None:
        if gives_way:
            give_way(_NICER_BY)
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again by `done.result`
            done.set_exception(error)

    threading.Thread(target=run, name="model-build", daemon=True).start()
    return done.result(within_s)


def return_memory() -> None:
    """Return freed memory to the system.

    ONNX Runtime builds a model in several times the memory that it keeps, and glibc does not return it by itself.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
