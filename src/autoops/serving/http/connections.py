"""Connections with the limits that uvicorn lacks.

They bound how much a client may send before the application is called, how long it may take to send a request and to
read a response, and how long an open connection lasts when the server stops.

`Connection` is the protocol class that `uvicorn.Config(http=...)` takes. It overrides methods of `asyncio.Protocol` and
the callbacks of `httptools.HttpRequestParser`. Of uvicorn's own attributes it uses `app`, `connections`, `cycle`,
`headers`, `loop`, `pipeline`, `shutdown`, `transport` and `url`; pyproject.toml bounds uvicorn's version because of
that.
"""

import asyncio
from collections.abc import Collection
from typing import Any, ClassVar

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from autoops.serving.http import problems
from autoops.serving.http.request_ids import WithRequestId

SEND_S = 30.0
"""How long a client may take from a request's first byte to its last, and from connecting to its first request."""

READ_S = 30.0
"""How long a client may leave responses unread."""

KEEP_ALIVE_S = 75
"""Longer than the keep-alive of clients and proxies, so that they close idle connections first."""

HEAD_BYTES = 16 * 1024
"""Limit for the request line and headers together; with chunk sizes and trailers, plus a quarter of the body."""

HEADERS = 100
PIPELINED = 16
"""Limit of requests that wait behind the one in progress."""

_UNREAD_BYTES = 32 * 1024 * 1024
"""Limit for the unread responses of all connections together."""

_LOOK_S = 1.0
"""Between two checks of how long a connection has been waiting."""

_LEAVE_S = 1.0
"""How long an idle connection stays open when the server stops: a client that sends while the server closes it would
not know whether its request was received."""

_SEND_WHEN_LEAVING_S = 5.0


class TooManyPipelined(Exception):
    """Stops the parser; uvicorn then responds 400 and closes the connection."""


class Connection(HttpToolsProtocol):
    """A connection with limits, so that its client cannot block the server."""

    most: ClassVar[int] = 1024
    """Maximum of concurrent connections; requests on further ones get 503."""

    _leaving = False
    _begun = False
    """Whether a request was received in part."""
    _received = _body = 0
    """Bytes of this request, and how many of them are its body."""
    _waiting_since: float | None = None
    """When the wait for the first request, or for the rest of one, began, in the event loop's time; None: no wait."""
    _unread_since: float | None = None
    _watch: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit for the first request; if too many connections are open, reject requests with 503."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self.app = _FULL
        self._waiting_since = self.loop.time()
        # One timer per connection: timers per request cost more than the rest of this class.
        self._watch = self.loop.call_later(_LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the checks of the time limits; `exc` is None if no error has closed the connection."""
        self._watch.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Note since when responses are unread; abort connections while those of all together exceed the limit."""
        super().pause_writing()
        if self._unread_since is None:
            self._unread_since = self.loop.time()
        _make_room(self.connections)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes; send 431 and close the connection as soon as a request line and headers are too large."""
        # In parts, so that too many headers are noticed before all of them are parsed.
        for at in range(0, len(data), HEAD_BYTES):
            part = data[at : at + HEAD_BYTES]
            self._received += len(part)
            super().data_received(part)
            if self._begun and (self._is_too_much() or len(self.headers) > HEADERS):
                self._refuse(_TOO_LARGE)
            if self.transport.is_closing():
                return

    def on_message_begin(self) -> None:
        """Start the time limit of a request, at its first byte.

        Raises:
            TooManyPipelined: `PIPELINED` requests wait behind the one in progress.
        """
        if len(self.pipeline) >= PIPELINED:
            raise TooManyPipelined
        self._begun = True
        self._waiting_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Reject the request with 431, before the application is called, if its line and headers are too large."""
        # `_received` may include a part of the body, so the sum of the headers decides.
        if len(self.headers) > HEADERS or (
            self._received > HEAD_BYTES and _size(self.headers) + len(self.url) > HEAD_BYTES
        ):
            self.app = _HEAD_TOO_LARGE
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count the bytes of a part of the body, without the chunk sizes."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the time limit of the request, which is received in full, and reset its byte counts."""
        self._begun, self._waiting_since = False, None
        self._received = self._body = 0
        super().on_message_complete()

    def _is_too_much(self) -> bool:
        """Return whether the request line, headers, chunk sizes and trailers are too long, beside the body so far."""
        return self._received - self._body > HEAD_BYTES + self._body // 4

    def _look(self) -> None:
        """Check how long the connection has been waiting, and schedule the next check.

        The checks go on while the transport is closing, because it waits until its client has read everything.
        """
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > READ_S:
            self.transport.abort()
            return
        within_s = _SEND_WHEN_LEAVING_S if self._leaving else SEND_S
        if self._waiting_since is not None and now - self._waiting_since > within_s:
            self._refuse(_TOO_SLOW if self._begun else b"")
        self._watch = self.loop.call_later(_LOOK_S, self._look)

    def _refuse(self, answer: bytes) -> None:
        """Close the connection; send the response `answer` first, unless another response is being sent."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if answer and (cycle is None or cycle.response_complete or not cycle.response_started):
            self.transport.write(answer)
        self.transport.close()

    def shutdown(self) -> None:
        """Close the connection, because the server stops; requests that still arrive get a response.

        uvicorn calls this when the server takes no new connections any more.
        """
        self._leaving = True
        self.app = _Last(self.app)
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()  # closes the connection after the response in progress
        elif not self._begun:
            # Otherwise a part of a request is here: `_look` ends the wait for the rest.
            self.loop.call_later(_LEAVE_S, self._leave)

    def _leave(self) -> None:
        if not self._begun:
            super().shutdown()


def limited(most: int) -> type[Connection]:
    """Return the connection class of a server that serves at most `most` connections."""
    # uvicorn takes a class, and makes each connection itself.
    return type("LimitedConnection", (Connection,), {"most": most})


def _size(headers: Collection[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _make_room(connections: Collection[Any]) -> None:
    """Abort connections until the unread responses of the rest are within the limit.

    The clients that have left responses unread for longest go first; the last of them stays.
    """
    unread = [one for one in connections if one._unread_since is not None]
    size = sum(one.transport.get_write_buffer_size() for one in unread)
    for one in sorted(unread, key=lambda one: one._unread_since)[:-1]:
        if size <= _UNREAD_BYTES:
            return
        size -= one.transport.get_write_buffer_size()
        one.transport.abort()


class _Last:
    """ASGI middleware that adds `Connection: close` to each response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, closing)


def _raw(status: bytes, response: Response) -> bytes:
    head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
    return b"HTTP/1.1 %b\r\nconnection: close\r\n" % status + head + b"\r\n" + bytes(response.body)


_CLOSE = {"Connection": "close"}
_TOO_SLOW = _raw(b"408 Request Timeout", problems.problem(408, "the request did not arrive in time"))
_LARGE_HEAD = f"the request line and headers may have {HEADERS} headers and {HEAD_BYTES} bytes together"
_TOO_LARGE = _raw(b"431 Request Header Fields Too Large", problems.problem(431, _LARGE_HEAD))
_HEAD_TOO_LARGE: Any = WithRequestId(problems.problem(431, _LARGE_HEAD, headers=_CLOSE))
_FULL: Any = WithRequestId(problems.busy("too many connections are open", _CLOSE))
