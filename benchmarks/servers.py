"""Real uvicorn processes to ask, and a client of plain sockets, which costs less than any of them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from autoops.settings import PREFIX
from tests import serving_app
from tests.ports import free_port

QUIET = ("--log-level", "warning", "--no-access-log")


def post(path: str, media_type: str, body: bytes) -> bytes:
    """The bytes of a request."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def server(factory: str, home: Path, **settings: str) -> Iterator[int]:
    """The port of a uvicorn process that is ready; `settings` as in AUTOOPS__SECTION__KEY without its prefix."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {f"{PREFIX}{name}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), *QUIET],
        env=environment | {f"{PREFIX}STORAGE__HOME": str(home / "var"), serving_app.REGISTRY: str(home)},
    )
    try:
        _wait_until_ready(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(port: int, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready").is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit("a server did not become ready in time")
        time.sleep(0.1)


async def _ask(port: int, request: bytes, times: int, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    for _ in range(times):
        began = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200 "):
            raise SystemExit(f"a request failed: {head.splitlines()[0].decode()}")
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        seconds.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


async def ask(port: int, request: bytes, connections: int, requests: int) -> tuple[list[float], float]:
    """Seconds of each request, and requests per second."""
    seconds: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_ask(port, request, requests // connections, seconds) for _ in range(connections)))
    return seconds, len(seconds) / (time.perf_counter() - began)
