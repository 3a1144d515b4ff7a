"""What stands around every request. Pure ASGI: `@app.middleware` costs more than a prediction."""

import time
from abc import ABC, abstractmethod
from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops.errors import ServiceUnavailable
from autoops.serving.metrics import Metrics
from autoops.serving.problems import busy

OTHER = "other"
"""The route of every path that is not ours: a label must not take whatever a client makes up."""


class Watched(ABC):
    """Hears of each request what came of it; what escapes every handler counts as 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    @abstractmethod
    def over(self, scope: Scope, status: int, duration_ns: int) -> None: ...

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

        began = time.perf_counter_ns()
        try:
            await self._app(scope, receive, watched)
        finally:
            self.over(scope, status, time.perf_counter_ns() - began)


class Measured(Watched):
    """Counts and times by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Collection[str]) -> None:
        super().__init__(app)
        self._metrics = metrics
        self._routes = routes

    def over(self, scope: Scope, status: int, duration_ns: int) -> None:
        path = scope["path"]
        self._metrics.answered(path if path in self._routes else OTHER, status, duration_ns / 1e9)


class Admission:
    """Keeps what is in work within bounds: a request is refused before it is read into memory when its body has more
    than `body_bytes`, or when there are `requests` in work already or `all_bytes` of others' bodies.

    What only reads is always let in: whoever watches the API must see it then, too.
    """

    def __init__(
        self, app: ASGIApp, requests: int, body_bytes: int, all_bytes: int, metrics: Metrics | None = None
    ) -> None:
        self._app = app
        self._most, self._body_bytes, self._all_bytes = requests, body_bytes, all_bytes
        self._requests = self._bytes = 0
        if metrics is not None:
            work = "autoops_http_requests_in_flight", "Requests in work, those that only read left out"
            metrics.gauge(*work, lambda: self._requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        if self._requests >= self._most:
            await busy("too many requests are in work")(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            size = len(message.get("body", b""))
            read += size
            self._bytes += size
            if read > self._body_bytes:
                raise HTTPException(413, f"a body may have at most {self._body_bytes} bytes")
            if self._bytes > max(self._all_bytes, read):
                raise ServiceUnavailable("too many large requests are in work")
            return message

        self._requests += 1
        try:
            await self._app(scope, counted, send)
        finally:
            self._requests -= 1
            self._bytes -= read
