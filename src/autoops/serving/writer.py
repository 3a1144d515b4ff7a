"""Group commit: what many requests want logged goes to the database in one transaction.

A request waits for the commit that holds its rows, so what is answered is in the log, and a killed process loses
nothing that it has acknowledged.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from autoops.errors import ServiceUnavailable, StorageUnavailable
from autoops.predictions import Label, LabelStatus, LoggedPrediction, PredictionLog

_GROUP_ROWS = 10_000
"""A transaction takes no further request once it has so many rows."""


@dataclass(slots=True)
class _Job:
    """`rows` are grouped with those of other jobs; a job with `call` has a transaction of its own."""

    future: "asyncio.Future[Any]"
    weight: int
    rows: Sequence[LoggedPrediction] = ()
    call: Callable[[], object] | None = None


class Writer:
    """Belongs to the event loop that started it; one thread of its own writes."""

    def __init__(self, log: PredictionLog, limit_rows: int) -> None:
        self._log = log
        self._limit_rows = limit_rows
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._open = False
        self.queued_rows = 0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._thread.start()

    async def stop(self) -> None:
        """Commits what is queued, takes no more."""
        self._open = False
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def append(self, rows: Sequence[LoggedPrediction]) -> Sequence[LoggedPrediction]:
        """What stands in the log for each row, once it is committed (see PredictionLog.append).
        Raises StorageUnavailable, or ServiceUnavailable when too much is waiting already."""
        standing: Sequence[LoggedPrediction] = await self._submit(_Job(self._loop.create_future(), len(rows), rows))
        return standing

    async def attach(self, labels: Sequence[Label], labelled_at: datetime) -> Sequence[LabelStatus]:
        """As PredictionLog.attach, and raises as `append`."""
        job = _Job(self._loop.create_future(), len(labels), call=lambda: self._log.attach(labels, labelled_at))
        statuses: Sequence[LabelStatus] = await self._submit(job)
        return statuses

    def _submit(self, job: _Job) -> "asyncio.Future[Any]":
        if not self._open:
            raise ServiceUnavailable("the API is shutting down")
        if self.queued_rows and self.queued_rows + job.weight > self._limit_rows:
            raise ServiceUnavailable("too many predictions wait for the database")
        self.queued_rows += job.weight
        self._jobs.put(job)
        return job.future

    def _run(self) -> None:
        more = True
        while more:
            group, more = self._next_group()
            outcomes = self._write(group)
            if outcomes:
                self._loop.call_soon_threadsafe(self._resolve, outcomes)

    def _next_group(self) -> tuple[list[_Job], bool]:
        """All that is queued, up to a transaction's size; waits for the first."""
        group: list[_Job] = []
        weight = 0
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            weight += job.weight
            if weight >= _GROUP_ROWS:
                return group, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _write(self, group: list[_Job]) -> "list[tuple[_Job, object]]":
        outcomes = [(job, _attempt(job.call)) for job in group if job.call is not None]
        return outcomes + self._append_group([job for job in group if job.call is None])

    def _append_group(self, jobs: list[_Job]) -> "list[tuple[_Job, object]]":
        if not jobs:
            return []
        rows = [row for job in jobs for row in job.rows]
        standing = _attempt(lambda: self._log.append(rows))
        if isinstance(standing, list):
            left = iter(standing)
            return [(job, [next(left) for _ in job.rows]) for job in jobs]
        if isinstance(standing, StorageUnavailable) or len(jobs) == 1:
            return [(job, standing) for job in jobs]
        return [outcome for job in jobs for outcome in self._append_group([job])]

    def _resolve(self, outcomes: "list[tuple[_Job, object]]") -> None:
        for job, outcome in outcomes:
            self.queued_rows -= job.weight
            if job.future.done():
                continue
            if isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)


def _attempt(action: Callable[[], object]) -> object:
    """The result, or the exception as a value: it belongs to the requests that wait, not to the thread."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
        return error
