"""Group commit: the rows of concurrent requests are written together, in one transaction.

A request waits for the commit of its rows, so every prediction in a response is in the log, and a killed process loses
nothing that it has acknowledged. One thread writes, so that the requests of one process never compete for the database.
Large requests take turns with the small ones: a small one waits for at most one large one. No request waits longer than
its timeout: a job that has not begun by then is dropped, and one that has begun may be committed or not.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from autoops.errors import AutoOpsError, FeatureError, ServiceUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

_GROUP_ITEMS = 10_000
"""A group with so many items takes no further request."""

_LARGE_ITEMS = 257
"""A request with so many items or more is executed by itself."""


@dataclass(slots=True)
class _Job:
    """A request in the queue. If `items` is None, the action takes no items and is executed by itself."""

    action: Callable[..., Any]
    items: Sequence[Any] | None
    size: int
    future: "asyncio.Future[Any]"
    begun: bool = False
    given_up: bool = False

    def begin(self) -> bool:
        """Mark the job as begun, and return False if its request does not wait any more.

        `begin` and `give_up` set their own flag before they read that of the other, so at least one sees the other.
        """
        self.begun = True
        return not self.given_up

    def give_up(self) -> None:
        self.given_up = True
        if not self.future.done():
            stored = (
                "may be stored or not; to repeat it with the same request_id is safe" if self.begun else "is not stored"
            )
            self.future.set_exception(
                ServiceUnavailable(f"the database did not answer in time, and this request {stored}")
            )


class Writer:
    """The thread that writes, and its queue. Belongs to the event loop that started it."""

    def __init__(self, limit: int, patience_s: float) -> None:
        """Take at most `limit` items into the queue, and let each request wait for `patience_s` seconds at most."""
        self._limit = limit
        self._patience_s = patience_s
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._open = False
        self.queued = 0

    def start(self) -> None:
        """Start the thread; called on the event loop that its requests will wait on."""
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._thread.start()

    async def stop(self, within_s: float | None = None) -> None:
        """Take no more requests, and wait until the queued ones are done, for `within_s` seconds at most."""
        self._open = False
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, within_s)

    async def do(self, action: Callable[[list[Item]], Sequence[Result]], items: Sequence[Item]) -> Sequence[Result]:
        """Run `action` on `items` joined with those of other requests; return its results for these items, in order.

        The action must commit all items or none.

        Raises:
            ServiceUnavailable: too many items wait, the database does not answer in time, or the writer has stopped.
            Exception: what `action` raises.
        """
        results: Sequence[Result] = await self._ask(action, items, len(items))
        return results

    async def run_exclusively(self, action: Callable[[], Result], size: int) -> Result:
        """Run `action`, which is a transaction of its own with `size` rows, and return its result.

        Raises:
            ServiceUnavailable: as in `do`.
            Exception: what `action` raises.
        """
        result: Result = await self._ask(action, None, size)
        return result

    async def _ask(self, action: Callable[..., Any], items: Sequence[Any] | None, size: int) -> Any:
        if not self._open:
            raise ServiceUnavailable("the API is shutting down")
        # An empty queue takes any request: one that is larger than the limit would never fit.
        if self.queued and self.queued + size > self._limit:
            raise ServiceUnavailable("too many requests wait for the database")
        self.queued += size
        job = _Job(action, items, size, self._loop.create_future())
        self._jobs.put(job)
        patience = self._loop.call_later(self._patience_s, job.give_up)
        try:
            return await job.future
        finally:
            patience.cancel()

    def _run(self) -> None:
        large: deque[_Job] = deque()
        more = True
        while more or large:
            small: list[_Job] = []
            if more:
                small, more = self._next_group(large)
            # Bound methods compare by object and function: one use case is one group.
            by_action: dict[Callable[..., object], list[_Job]] = {}
            for job in small:
                by_action.setdefault(job.action, []).append(job)
            for jobs in by_action.values():
                self._do(jobs)
            if large:
                self._do([large.popleft()])

    def _do(self, jobs: list[_Job]) -> None:
        outcomes = _perform([job for job in jobs if job.begin()])
        # Also jobs that were given up: they count in `queued`, which only the loop changes.
        self._loop.call_soon_threadsafe(self._resolve, jobs, outcomes)

    def _next_group(self, large: deque[_Job]) -> tuple[list[_Job], bool]:
        """Return the small requests that are queued, up to a group's size, and whether there can be more.

        Appends large ones to `large`. Waits for a request if `large` is empty.
        """
        group: list[_Job] = []
        size = 0
        try:
            job = self._jobs.get(block=not large)
            while job is not None:
                if job.size >= _LARGE_ITEMS:
                    large.append(job)
                else:
                    group.append(job)
                    size += job.size
                    if size >= _GROUP_ITEMS:
                        return group, True
                job = self._jobs.get_nowait()
        except queue.Empty:
            return group, True
        return group, False

    def _resolve(self, jobs: list[_Job], outcomes: list[tuple[_Job, object]]) -> None:
        self.queued -= sum(job.size for job in jobs)
        for job, outcome in outcomes:
            # Given up after it had begun, or its client has left.
            if job.future.done():
                continue
            if isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)


def _perform(jobs: list[_Job]) -> list[tuple[_Job, object]]:
    """Return each job with its results or its exception.

    An unexpected exception of a group may be caused by one request, so each is then tried alone.
    """
    if not jobs:
        return []
    try:
        results = _results(jobs)
    except Exception as error:  # noqa: BLE001 - whatever it is, the waiting requests must get it
        # An AutoOpsError, such as a database that is away, is not caused by one request; what a row holds is.
        if (isinstance(error, AutoOpsError) and not isinstance(error, FeatureError)) or len(jobs) == 1:
            return [(job, error) for job in jobs]
        return [outcome for job in jobs for outcome in _perform([job])]
    return list(zip(jobs, results, strict=True))


def _results(jobs: list[_Job]) -> list[object]:
    action = jobs[0].action
    if jobs[0].items is None:
        return [action()]
    results = iter(action([item for job in jobs for item in job.items or ()]))
    return [[next(results) for _ in job.items or ()] for job in jobs]
