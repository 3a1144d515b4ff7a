"""Batches beside single trips: read, scored and written off the event loop, and only so many at a time."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from autoops.errors import ServiceUnavailable
from autoops.scoring import Cores

Given = ParamSpec("Given")
Result = TypeVar("Result")

_WORKERS = 3
"""While one batch is scored, another is read and a third is answered."""


class Batches:
    """Belongs to the event loop. `limit_bytes` bounds the bodies of all batches that are in work."""

    def __init__(self, limit_bytes: int, threads: int | None) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._workers = ThreadPoolExecutor(_WORKERS, "batch")
        self.cores = Cores(threads)

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Raises ServiceUnavailable when too much is in work already."""
        if self._bytes and self._bytes + size > self._limit_bytes:
            raise ServiceUnavailable("too many batches are in work")
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size

    async def run(self, action: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """In a worker."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, lambda: action(*args, **kwargs))

    def stop(self) -> None:
        """What is in work ends first."""
        self._workers.shutdown()
        self.cores.stop()
