"""The clients of a soak: one process, many connections, and what came of each request in the ledger.

Paced, each request is due at a time of its own, whether or not those before were answered, and that is when its clock
starts: a server that stalls is not asked less, but later.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import orjson
import pyarrow as pa
import uvloop

from benchmarks import machine
from benchmarks.client import END_OF_HEAD
from benchmarks.soaking import mix
from benchmarks.soaking.ledger import NO_ANSWER, WRONG, Ledger

CONNECTIONS = 64
PATIENCE_S = 60.0
_TOLD = 50
"""Answers that are kept word by word of those that were not 2xx."""

FAILURES = "failures.txt"

DueAt = Callable[[int], float]
"""When a request is due, by the system's monotonic clock."""


@dataclass(frozen=True)
class Asked:
    """`requests`: the number of the first that was not asked."""

    requests: int
    lasted_s: float
    busy: float
    """Share of a core."""


def as_fast_as_answered(port: int, folder: Path, first: int, for_s: float) -> Asked:
    """Each connection sends its next request when its last is answered."""
    over = time.monotonic() + for_s
    numbers = itertools.takewhile(lambda _: time.monotonic() < over, itertools.count(first))
    return _play(port, folder, numbers, None)


def paced(port: int, folder: Path, first: int, rate: float, began: float, for_s: float) -> Asked:
    """So many requests a second from `began` on, by the system's monotonic clock."""
    return _play(port, folder, iter(range(first, first + round(rate * for_s))), lambda n: began + (n - first) / rate)


def _play(port: int, folder: Path, numbers: Iterator[int], due_at: DueAt | None) -> Asked:
    with machine.pinned(machine.cores().client):
        client = _Client(port, Ledger(folder), folder / FAILURES)
        began, worked = time.monotonic(), time.process_time()
        uvloop.run(client.ask_all(numbers, due_at))
        lasted = time.monotonic() - began
        return Asked(client.asked, lasted, (time.process_time() - worked) / lasted)


class _Client:
    def __init__(self, port: int, ledger: Ledger, failures: Path) -> None:
        self._port, self._ledger, self._failures = port, ledger, failures
        self._told = 0
        self.asked = 0

    async def ask_all(self, numbers: Iterator[int], due_at: DueAt | None) -> None:
        await asyncio.gather(*(self._ask_in_turn(numbers, due_at) for _ in range(CONNECTIONS)))

    async def _ask_in_turn(self, numbers: Iterator[int], due_at: DueAt | None) -> None:
        connection = _Connection(self._port)
        for number in numbers:
            due = due_at(number) if due_at else time.monotonic()
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            await self._ask(connection, number, due)
            self.asked = max(self.asked, number + 1)
        connection.close()

    async def _ask(self, connection: "_Connection", number: int, due: float) -> None:
        request = mix.request(number, self._ledger.id_of, self._ledger.is_labelled)
        for label in request.labels:
            self._ledger.send_label(label)
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, body = await connection.ask(request.content)
        except OSError as error:  # TimeoutError is one
            status, body = NO_ANSWER, repr(error).encode()
            connection.close()
        seconds = time.monotonic() - due
        wrong = self._note(request, body) if status == 200 else f"{status}: {body[:300].decode(errors='replace')}"
        if wrong:
            self._tell(f"request {number}, {request.kind}: {wrong}")
        self._ledger.answered(number, WRONG if wrong and status == 200 else status, seconds)

    def _note(self, request: mix.Request, body: bytes) -> str | None:
        """What is acknowledged; in words what is wrong with an answer."""
        if request.labels:
            receipt = orjson.loads(body)
            if receipt["stored"] != len(request.labels):
                return f"labels refused: {receipt['refused'][:3]}"
            for label in request.labels:
                self._ledger.acknowledge_label(label)
        if not request.trips:
            return None
        answers = list(_predictions(request.kind, body))
        if len(answers) != len(request.trips):
            return f"{len(answers)} predictions for {len(request.trips)} trips"
        for trip, answer in zip(request.trips, answers, strict=True):
            if not self._ledger.acknowledge(trip, *answer):
                return f"trip {trip} had another answer before"
        return None

    def _tell(self, what: str) -> None:
        self._told += 1
        if self._told <= _TOLD:
            with self._failures.open("a") as file:
                file.write(f"{datetime.now(UTC):%H:%M:%S} {what}\n")


def _predictions(kind: str, body: bytes) -> Iterator[tuple[str, int]]:
    """Id and version of each."""
    if kind == "arrow":
        table = pa.ipc.open_stream(body).read_all()
        return zip(table["prediction_id"].to_pylist(), table["model_version"].to_pylist(), strict=True)
    answer = orjson.loads(body)
    if kind == "columns":
        return zip(answer["columns"]["prediction_id"], answer["columns"]["model_version"], strict=True)
    rows = answer["predictions"] if kind == "rows" else [answer]
    return ((row["prediction_id"], row["model_version"]) for row in rows)


class _Connection(asyncio.Protocol):
    """Opened when it is first needed, and again after it has ended."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = bytearray()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises OSError where the connection ends first."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self._answer = loop.create_future()
        self._received.clear()
        assert self._transport is not None
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = bytes(self._received).partition(END_OF_HEAD)
        if not end or self._answer is None or self._answer.done():
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._answer.set_result((int(head.split(b" ", 2)[1]), body))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the connection ended: {error}"))
