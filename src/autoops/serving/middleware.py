"""What stands around every request. Pure ASGI: `@app.middleware` costs more than a prediction."""

import time
from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops.serving.metrics import Metrics

OTHER = "other"
"""The route of every path that is not ours: a label must not take whatever a client makes up."""


class Measured:
    """Counts and times by route and status; what escapes every handler counts as 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, watched)
        finally:
            path = scope["path"]
            route = path if path in self._routes else OTHER
            self._metrics.answered(route, status, time.perf_counter() - began)


class LimitedBody:
    """Refuses a body above `limit_bytes` before it is read into memory."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit_bytes:
                raise HTTPException(413, f"a body may have at most {self._limit_bytes} bytes")
            return message

        await self._app(scope, counted, send)
