"""A version is loaded beside the traffic: in a thread of its own that gives way to those which answer, if any do."""

import contextlib
import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import numpy as np

from autoops.registry import ModelVersion, Registry
from autoops.scoring import Scorer, give_way, load_version
from autoops.serving.budget import Budget

_NICER_BY = 10
_WARM_UP_ROWS = 20

T = TypeVar("T")


def load_beside(registry: Registry, version: ModelVersion, cache: Path, budget: Budget, *, gives_way: bool) -> Scorer:
    """The version, verified and warm. `gives_way` to traffic, which a first version has none of. Raises BundleError,
    and RegistryUnavailable where a download breaks off."""

    def load() -> Scorer:
        scorer = load_version(registry, version, cache, admit=budget.admit)
        row = np.zeros((1, len(scorer.manifest.features)), dtype=np.float32)
        for _ in range(_WARM_UP_ROWS):
            scorer.predict(row)
        _return_memory()
        return scorer

    return _beside(load, gives_way)


def _beside(work: Callable[[], T], gives_way: bool) -> T:
    """Waits for it. A process that ends in between does not: the thread dies with it."""
    done: Future[T] = Future()

    def run() -> None:
        if gives_way:
            give_way(_NICER_BY)
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(error)

    threading.Thread(target=run, name="model-load", daemon=True).start()
    return done.result()


def _return_memory() -> None:
    """ONNX Runtime builds a model in several times the memory that it keeps, and glibc does not return it by itself."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
