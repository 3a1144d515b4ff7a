"""The player: it sends months of rows through the real API, in event time.

Event time is that of the row just sent, and the end of a month once all of its rows were answered. When it has passed
a row's event time by the label lag, the row's ground truth is sent. When it passes a month's end, the month's raw
file is published.
"""

import asyncio
import tempfile
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from autoops.clock import Clock, SystemClock
from autoops.errors import InputError
from autoops.ingestion.source import Source
from autoops.months import Month
from autoops.replay.client import ApiClient
from autoops.replay.itinerary import Departure, LoadedMonth, load, publish
from autoops.replay.pace import Pace
from autoops.replay.tally import Answer, Tally
from autoops.usecase.contract import Contract

LABELS_PER_REQUEST = 200
LABELS_WAIT_S = 1.0
"""Labels that are due go out in one request, at the latest so many seconds (wall time) after the one before."""


class Listener:
    """Callbacks of a replay, on the thread that plays; they do nothing unless overridden."""

    def month_began(self, month: Month, rows: int) -> None:
        """Handle the start of a month, of which `rows` rows are to be sent."""

    def answered(self, month: Month, answer: Answer) -> None:
        """Handle the answer to one row; a failed request has none."""

    def month_ended(self, month: Month) -> None:
        """Handle the end of a month: all of its rows were answered, and the month is published."""


class Reporter(Listener):
    """A listener that calls `report` with the number of rows answered, and the rows in all months begun so far."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self._report = report
        self._done = self._total = 0

    def month_began(self, month: Month, rows: int) -> None:
        """Add the month's rows to the total, without a report."""
        self._total += rows

    def answered(self, month: Month, answer: Answer) -> None:
        """Count the answered row, and report."""
        self._done += 1
        self._report(self._done, self._total)


@dataclass(frozen=True)
class PlayOptions:
    """What is played, and to which API; with `label_lag` None no labels are sent."""

    source: Source
    months: Sequence[Month]
    api_url: str
    contract: Contract
    sample: int | None = None
    label_lag: timedelta | None = timedelta(days=1)
    publish_to: Path | None = None
    connections: int = 16
    timeout_s: float = 10
    api_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.months:
            raise InputError("replay: no month to play")
        for name, value in (("sample", self.sample), ("connections", self.connections)):
            if value is not None and value < 1:
                raise InputError(f"replay: {name} must be at least 1, got {value}")
        if self.label_lag is not None and self.label_lag < timedelta(0):
            raise InputError("replay: the label lag must not be negative")
        if self.publish_to is not None and self.contract.source.is_csv:
            raise InputError(f"replay: published months are parquet, and source.files is {self.contract.source.files}")


@dataclass(frozen=True)
class Played:
    """The outcome of a replay.

    `requests` counts all that were sent, labels included; `failures` counts those that failed, by what was wrong.
    `labels_not_due` counts the labels that were due only after the end of the last month.
    """

    requests: int
    failures: Mapping[str, int]
    labels_sent: int
    labels_not_due: int
    tally: Tally

    @property
    def failed(self) -> int:
        """Return the number of failures: requests that failed, and single labels that the API refused."""
        return sum(self.failures.values())

    def sentences(self) -> list[str]:
        """Return the outcome of the requests, and of the labels if any were to be sent, in plain words."""
        failures = ", ".join(f"{count} x {what}" for what, count in self.failures.items()) or "none failed"
        labels = f"{self.labels_sent} labels sent, {self.labels_not_due} not due before the last month was over"
        return [f"{self.requests} requests, {failures}"] + [labels] * bool(self.labels_sent or self.labels_not_due)


def play(
    options: PlayOptions,
    pace: Pace | None = None,
    listeners: Sequence[Listener] = (),
    *,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Played:
    """Play to the end, or until the pace is stopped; `transport` replaces the network.

    Raises:
        DataError: a month is not published, or cannot be used.
        SourceUnavailable: the source does not answer.
        StorageUnavailable: a month cannot be written to the temporary folder.
    """

    async def run() -> Played:
        async with ApiClient(
            options.api_url, options.contract, options.connections, options.timeout_s, transport, options.api_headers
        ) as client:
            tally = Tally(options.contract)
            replay = _Replay(options, pace or Pace(), listeners, clock or SystemClock(), client, tally)
            return await replay.run()

    return asyncio.run(run())


@dataclass
class _Replay:
    options: PlayOptions
    pace: Pace
    listeners: Sequence[Listener]
    clock: Clock
    client: ApiClient
    tally: Tally
    labels: deque[tuple[datetime, Mapping[str, object]]] = field(default_factory=deque)
    labels_sent: int = 0
    labels_went_at: float = 0.0
    in_flight: set[asyncio.Task[None]] = field(default_factory=set)
    errors: list[BaseException] = field(default_factory=list)

    async def run(self) -> Played:
        with tempfile.TemporaryDirectory(prefix="autoops-replay-") as temporary:
            fetch = self._fetcher(Path(temporary))
            months = list(self.options.months)
            ahead = asyncio.create_task(fetch(months[0]))
            try:
                for following in [*months[1:], None]:
                    loaded = await ahead
                    if following is not None:
                        ahead = asyncio.create_task(fetch(following))
                    if not await self._play_month(loaded):
                        break
                    loaded.raw.unlink()
            finally:
                # Before the folder is removed: a thread may still load the next month into it.
                await asyncio.gather(ahead, *self.in_flight, return_exceptions=True)
        return Played(self.client.requests, dict(self.client.failures), self.labels_sent, len(self.labels), self.tally)

    def _fetcher(self, directory: Path) -> Callable[[Month], Coroutine[Any, Any, LoadedMonth]]:
        """Return a function that loads a month on a thread, while the month before it is played."""

        options = self.options

        async def fetch(month: Month) -> LoadedMonth:
            return await asyncio.to_thread(load, options.source, month, directory, options.contract, options.sample)

        return fetch

    async def _play_month(self, loaded: LoadedMonth) -> bool:
        """Play a month; return False when the pace was stopped before its end."""
        for listener in self.listeners:
            listener.month_began(loaded.month, len(loaded.frame))
        for departure in loaded.departures():
            if not await self.pace.turn(departure.event_at):
                return False
            await self._send_due_labels(departure.event_at)
            await self._launch(self._predict(loaded.month, departure))
        # Answers queue labels, so only after the last answer are the due ones complete.
        await self._land()
        await self._send_due_labels(loaded.month.ends_in(self.options.contract.zone), everything=True)
        await self._land()
        if self.options.publish_to is not None:
            publish(loaded.raw, loaded.month, self.options.publish_to, self.options.contract)
        for listener in self.listeners:
            listener.month_ended(loaded.month)
        return True

    async def _launch(self, request: Coroutine[Any, Any, None]) -> None:
        """Start a request as soon as one of the connections is free, so that requests leave in event order."""
        while len(self.in_flight) >= self.options.connections:
            await asyncio.wait(self.in_flight, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(request)
        self.in_flight.add(task)
        task.add_done_callback(self._landed)
        self._raise_errors()

    def _landed(self, task: "asyncio.Task[None]") -> None:
        self.in_flight.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Kept for `_raise_errors`: asyncio only logs what a callback raises.
            self.errors.append(error)

    async def _land(self) -> None:
        """Wait for all requests in flight."""
        if self.in_flight:
            await asyncio.wait(self.in_flight)
        self._raise_errors()

    def _raise_errors(self) -> None:
        """Raise the first error that a listener raised, or that a response out of contract caused.

        A failed request is no error: the client counts it.
        """
        if self.errors:
            raise self.errors[0]

    async def _predict(self, month: Month, departure: Departure) -> None:
        answered = await self.client.predict(departure.request)
        if answered is None:
            return
        prediction, version = answered
        answer = Answer(departure.event_at, prediction, departure.truth, version, self.clock.now())
        self.tally.add(answer)
        for listener in self.listeners:
            listener.answered(month, answer)
        if self.options.label_lag is not None:
            self.labels.append((departure.event_at + self.options.label_lag, departure.label))

    async def _send_due_labels(self, event_at: datetime, everything: bool = False) -> None:
        """Send the labels that are due, in full requests unless they have waited long enough.

        Labels are queued as answers come, in event order except for the few requests in flight.
        """
        waited = time.monotonic() - self.labels_went_at > LABELS_WAIT_S
        while self.labels and self.labels[0][0] <= event_at:
            full = len(self.labels) >= LABELS_PER_REQUEST and self.labels[LABELS_PER_REQUEST - 1][0] <= event_at
            if not (full or waited or everything):
                return
            batch: list[Mapping[str, object]] = []
            while self.labels and self.labels[0][0] <= event_at and len(batch) < LABELS_PER_REQUEST:
                batch.append(self.labels.popleft()[1])
            self.labels_went_at = time.monotonic()
            await self._launch(self._label(batch))

    async def _label(self, batch: list[Mapping[str, object]]) -> None:
        if await self.client.send_labels(batch):
            self.labels_sent += len(batch)
