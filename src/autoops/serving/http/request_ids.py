"""The id that identifies a request in the logs, and an optional log line for each request."""

import logging
import random
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops.telemetry import logs

HEADER = b"x-request-id"
_chance = random.Random()
"""Seeded by the system, then independent of it: a system call for each request would release the GIL to the thread that
commits, and wait to get it back."""

_usable = re.compile(rb"[\x21-\x7e]{1,128}").fullmatch

logger = logging.getLogger(__name__)


def of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the client's `X-Request-Id` if it is short and printable, else a new id."""
    request_id = b""
    for name, value in headers:
        if name == HEADER:
            request_id = value
    return request_id if _usable(request_id) else b"%032x" % _chance.getrandbits(128)


def log(scope: Scope, status: int, duration_ns: int) -> None:
    """Log one line about a request; its duration is in nanoseconds."""
    # `raw_path` is without the query string; latin-1 decodes any bytes.
    method, path = scope["method"], scope["raw_path"].decode("latin-1")
    fields = {
        "http.request.method": method,
        "url.path": path,
        "http.response.status_code": status,
        "event.duration": duration_ns,
    }
    logger.info("%s %s %d in %.1f ms", method, path, status, duration_ns / 1e6, extra=fields)


class WithRequestId:
    """ASGI middleware that adds an id to a response which the server sends without calling the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response with the client's id or a new one, which log lines of this task also get."""
        request_id = of(scope["headers"])

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
            await send(message)

        logs.bind(request_id=request_id.decode())
        await self._app(scope, receive, named)
