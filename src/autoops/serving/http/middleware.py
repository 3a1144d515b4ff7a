"""The middleware around the application: id, key, limits, metrics and log line of each request, in one pass.

It is pure ASGI and a single layer, because each further layer costs a request about as much as scoring its row.
"""

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from fastapi import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops.errors import ServiceUnavailable
from autoops.serving.http import problems, request_ids
from autoops.serving.metrics import Metrics
from autoops.telemetry import logs, tracing

OTHER = "other"
"""The route label of every unknown path: the values of a label must not come from clients."""

_OF_A_MODEL = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?(/infer|/ready)?")

READING = ("GET", "HEAD")

STOPPING = "this process is stopping; what was sent may be stored or not"
_NO_STORE = (b"cache-control", b"no-store")

Refusal = Callable[[Scope, str], Response | None]


@dataclass
class LoadShedding:
    """Limits on the requests in progress, and their counters.

    A request is rejected if `requests` others are in progress, if its body has more than `body_bytes`, or if all bodies
    together have more than `all_bytes`. It counts until its response begins: a client that does not read its response
    must not keep others out.
    """

    requests: int
    body_bytes: int
    all_bytes: int
    in_work: int = 0
    held_bytes: int = 0


class Work:
    """A request in progress, and how many bytes of its body were read."""

    def __init__(self, load_shedding: LoadShedding, receive: Receive) -> None:
        self._load_shedding, self._receive = load_shedding, receive
        self._read = 0
        self._released = False
        load_shedding.in_work += 1

    async def receive(self) -> Message:
        """Return the next message, and count the bytes of its body.

        Raises:
            HTTPException: 413; the body is too large.
            ServiceUnavailable: the bodies of all requests together are too large.
        """
        load_shedding, message = self._load_shedding, await self._receive()
        # What is counted after the release would never be taken off again.
        if self._released:
            return message
        size = len(message.get("body", b""))
        self._read += size
        load_shedding.held_bytes += size
        if self._read > load_shedding.body_bytes:
            raise HTTPException(413, f"a body may have at most {load_shedding.body_bytes} bytes")
        # A request that is alone is within the limit for all, whatever its size.
        if load_shedding.held_bytes > max(load_shedding.all_bytes, self._read):
            raise ServiceUnavailable("too many large requests are in work")
        return message

    def release(self) -> None:
        """Take the request and its bytes off the counters of `LoadShedding`; a second call does nothing."""
        if not self._released:
            self._released = True
            self._load_shedding.in_work -= 1
            self._load_shedding.held_bytes -= self._read


class RequestLayer:
    """The ASGI middleware. It never rejects GET and HEAD for load, so that monitoring works while the API is busy.

    `hot` has applications by method and path that need neither routing nor error handlers of FastAPI. `refusal` returns
    the error response to a request that is not allowed.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        load_shedding: LoadShedding,
        routes: Collection[str] = (),
        hot: Mapping[tuple[str, str], ASGIApp] | None = None,
        refusal: Refusal | None = None,
        log_requests: bool = False,
    ) -> None:
        self._app, self._hot = app, hot or {}
        self._metrics, self._routes, self._log_requests = metrics, routes, log_requests
        self._load_shedding, self._refusal = load_shedding, refusal
        in_flight = "autoops_http_requests_in_flight", "Requests in work, those that only read left out"
        metrics.gauge(*in_flight, lambda: load_shedding.in_work)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; pass anything else, such as the lifespan, to the application unchanged.

        Raises:
            CancelledError: the shutdown timeout is over after the response has begun; before, the client gets 503.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter_ns()
        request_id = request_ids.of(scope["headers"])
        text = request_id.decode()
        # The id stays bound, because the server logs unhandled exceptions in the same task.
        logs.bind(request_id=text)
        tracing.mark("http.request.id", text)
        path = route_of(path_of(scope))
        status, work = 0, None

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_defaults(message.get("headers", ()), request_id)
                if work is not None:
                    work.release()
            await send(message)

        try:
            refused = self._refused(scope, path)
            if refused is not None:
                await refused(scope, receive, answer)
            elif scope["method"] in READING:
                await self._ask(scope, path, receive, answer)
            else:
                work = Work(self._load_shedding, receive)
                await self._ask(scope, path, work.receive, answer)
        except asyncio.CancelledError:
            # uvicorn cancels the requests still in progress when the shutdown timeout is over.
            if status:
                raise
            await problems.busy(STOPPING)(scope, receive, answer)
        finally:
            if work is not None:
                work.release()
            # If no response has begun, the server sends 500.
            self._over(scope, path, status or 500, time.perf_counter_ns() - began)

    def _refused(self, scope: Scope, path: str) -> Response | None:
        if self._refusal is not None and (refused := self._refusal(scope, path)) is not None:
            return refused
        # A route's `$` also matches before a final newline: keys and metrics would take such a path for another one.
        if not path.isprintable():
            return problems.problem(404, "Not Found")
        if self._load_shedding.in_work >= self._load_shedding.requests and scope["method"] not in READING:
            return problems.busy("too many requests are in work")
        return None

    async def _ask(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        hot = self._hot.get((scope["method"], path))
        if hot is None:
            await self._app(scope, receive, send)
            return
        try:
            await hot(scope, receive, send)
        except Exception as error:
            # As FastAPI's handlers would: a known error gets a response, and the server logs any other.
            response = problems.answer_to(error)
            if response is None:
                raise
            await response(scope, receive, send)

    def _over(self, scope: Scope, path: str, status: int, duration_ns: int) -> None:
        self._metrics.answered(path if path in self._routes else OTHER, status, duration_ns / 1e9)
        if self._log_requests:
            request_ids.log(scope, status, duration_ns)


def _with_defaults(headers: Iterable[tuple[bytes, bytes]], request_id: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers with the request's id, and with "no-store" unless they have a Cache-Control."""
    complete = [*headers, (request_ids.HEADER, request_id)]
    if all(name != b"cache-control" for name, _ in headers):
        complete.append(_NO_STORE)
    return complete


def path_of(scope: Scope) -> str:
    """Return the path that is routed: without the prefix under which a proxy serves the API."""
    path, root = str(scope["path"]), scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def route_of(path: str) -> str:
    """Return the path with `{name}` and `{version}` of a model in their places, as the route has it; others unchanged.

    A path with a character that no route has, such as a line's end, is unchanged too.
    """
    found = _OF_A_MODEL.fullmatch(path) if path.startswith("/v2/models/") and path.isprintable() else None
    if found is None:
        return path
    return f"/v2/models/{{name}}{'/versions/{version}' if found[1] else ''}{found[2] or ''}"
