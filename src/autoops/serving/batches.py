"""Batches beside single trips: read, scored and written off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from autoops.scoring import Cores

Given = ParamSpec("Given")
Result = TypeVar("Result")

_WORKERS = 3
"""While one batch is scored, another is read and a third is answered."""


class Batches:
    """Belongs to the event loop."""

    def __init__(self, threads: int | None) -> None:
        self._workers = ThreadPoolExecutor(_WORKERS, "batch")
        self.cores = Cores(threads)

    async def run(self, action: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """In a worker."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, lambda: action(*args, **kwargs))

    def stop(self) -> None:
        """What is in work ends first."""
        self._workers.shutdown()
        self.cores.stop()
