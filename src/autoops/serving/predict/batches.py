"""Work on batches off the event loop, beside single rows: reading, scoring and encoding."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from autoops.models.scoring import Scorer, ScoringThreads

Given = ParamSpec("Given")
Result = TypeVar("Result")

_WORKERS = 3
"""While some batches are scored, another is read and the response to yet another is encoded."""


class Batches:
    """Worker threads for batches. Belongs to the event loop."""

    def __init__(self, threads: int | None) -> None:
        self._workers = ThreadPoolExecutor(_WORKERS, "batch")
        self._cores = ScoringThreads(threads)

    async def run(self, action: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """Run `action` in a worker thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, lambda: action(*args, **kwargs))

    async def score(self, scorer: Scorer, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the predictions, of shape `(rows,)`, for inputs of shape `(rows, features)`.

        They are those of `ScoringThreads.predict`, and no worker waits for them.
        """
        return np.concatenate(await asyncio.gather(*map(asyncio.wrap_future, self._cores.submit(scorer, matrix))))

    def stop(self) -> None:
        """Drop what is queued, and wait for nothing, because no client waits for a response any more."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._cores.stop()
