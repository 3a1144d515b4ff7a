"""A closed-loop client that costs less than any server: one protocol object for each connection, on uvloop.

It sends the next request when the answer to the last one is complete, and parses no more than the status and the
length. How busy it was is part of what it measures: a client without time to spare would be what is measured.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import uvloop

END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True)
class Window:
    """What one server did in a stretch of time, under one number of connections."""

    seconds: list[float]
    """Of each request that was answered."""
    lasted_s: float
    """Until the last answer: what was under way after it is neither counted nor timed."""
    client_busy: float
    """Share of a core."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.seconds) / self.lasted_s

    def percentile(self, percent: int) -> float:
        """In milliseconds."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1] * 1e3


def post(path: str, media_type: str, body: bytes) -> bytes:
    """The bytes of a request."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def ask(ports: Sequence[int], requests: Sequence[bytes], connections: int, for_s: float) -> Window:
    """Asks again and again, on as many connections to each port; SystemExit with the server's words where one answer
    is no 200."""
    return uvloop.run(_ask(ports, requests, connections, for_s))


async def _ask(ports: Sequence[int], requests: Sequence[bytes], connections: int, for_s: float) -> Window:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[str] = loop.create_future()
    began, worked = time.perf_counter(), time.process_time()
    tally = _Tally()
    transports = []
    for number in range(connections):
        turn = itertools.cycle([*requests[number % len(requests) :], *requests[: number % len(requests)]])
        connection = partial(_Connection, turn, tally, over)
        transport, _ = await loop.create_connection(connection, "127.0.0.1", ports[number % len(ports)])
        transports.append(transport)
    await asyncio.wait([over], timeout=for_s)
    window = Window(
        tally.seconds[:], tally.last_at - began, (time.process_time() - worked) / (time.perf_counter() - began)
    )
    for transport in transports:
        transport.abort()
    if over.done() or not tally.seconds:
        raise SystemExit(f"a request failed: {over.result() if over.done() else 'no answer in time'}")
    return window


@dataclass
class _Tally:
    """Of all connections."""

    seconds: list[float] = field(default_factory=list)
    last_at: float = 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, requests: "itertools.cycle[bytes]", tally: _Tally, over: "asyncio.Future[str]") -> None:
        self._requests, self._tally, self._over = requests, tally, over
        self._received = bytearray()
        self._wanted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._wanted and END_OF_HEAD in self._received:
            self._wanted = self._length()
        if self._wanted and len(self._received) >= self._wanted:
            self._tally.last_at = time.perf_counter()
            self._tally.seconds.append(self._tally.last_at - self._began)
            self._received.clear()
            self._wanted = 0
            self._send()

    def _length(self) -> int:
        """Of head and body."""
        head = bytes(self._received[: self._received.index(END_OF_HEAD)]).lower()
        if not head.startswith(b"http/1.1 200 "):
            self._fail(bytes(self._received[:400]).decode(errors="replace"))
        body = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return len(head) + len(END_OF_HEAD) + body

    def _fail(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection ended: {error}")
