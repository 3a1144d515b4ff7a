import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from autoops.errors import ServiceUnavailable
from autoops.serving.metrics import Metrics
from autoops.serving.middleware import Admission

POST: Scope = {"type": "http", "method": "POST"}


class Reader:
    """Reads a body and keeps it until it is told to go on."""

    def __init__(self) -> None:
        self.held = 0
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.held += 1
        await self.go_on.wait()
        self.held -= 1


async def ask(admission: Admission, size: int, scope: Scope = POST) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * size}

    async def send(message: Message) -> None:
        sent.append(message)

    await admission(scope, receive, send)
    return sent


def test_bodies_that_are_held_count_until_their_requests_end() -> None:
    async def main() -> None:
        reader = Reader()
        admission = Admission(reader, requests=10, body_bytes=250, all_bytes=100)
        for sizes, one_more in (([250], 1), ([60, 40], 1), ([60], 41)):
            reader.go_on.clear()
            held = [asyncio.create_task(ask(admission, size)) for size in sizes]
            await asyncio.sleep(0)
            assert reader.held == len(sizes)
            with pytest.raises(ServiceUnavailable, match="large"):
                await ask(admission, one_more)
            reader.go_on.set()
            await asyncio.gather(*held)
        with pytest.raises(HTTPException, match="at most 250 bytes"):
            await ask(admission, 251)
        await ask(admission, 250)

    asyncio.run(main())


def test_beyond_so_many_requests_only_those_that_read_are_let_in() -> None:
    async def main() -> None:
        reader = Reader()
        metrics = Metrics()
        admission = Admission(reader, requests=2, body_bytes=10, all_bytes=100, metrics=metrics)
        held = [asyncio.create_task(ask(admission, 1)) for _ in range(2)]
        await asyncio.sleep(0)
        start, _ = await ask(admission, 1)
        assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"1")
        held.append(asyncio.create_task(ask(admission, 1, POST | {"method": "GET"})))
        await asyncio.sleep(0)
        assert reader.held == 3
        metrics.publish()
        assert b"\nautoops_http_requests_in_flight 2.0\n" in metrics.text()
        reader.go_on.set()
        await asyncio.gather(*held)
        assert await ask(admission, 1) == []

    asyncio.run(main())
