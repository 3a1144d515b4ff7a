"""How uvicorn keeps connections here, and what it does not bound itself: how long a client may take to send a request,
and what becomes of one that is on its way when the server stops.
"""

import asyncio
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from autoops.serving import problems
from autoops.serving.request_ids import Identified

SEND_S = 30.0
"""How long a client may take from a request's first byte to its last, and from connecting to its first request."""

_LEAVE_S = 1.0
"""How long a connection stays open when the server stops: a client that sends as its connection is closed would not
know whether it was heard."""

_SEND_WHEN_LEAVING_S = 5.0
KEEP_ALIVE_S = 75
"""Longer than clients and proxies keep theirs, so that it is they who close."""


class Connection(HttpToolsProtocol):
    """One that a slow client cannot keep, and that leaves politely."""

    _sending = _leaving = False
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # uvicorn's own answer is no problem+json.
        most, self.limit_concurrency = self.limit_concurrency, None
        if most is not None and len(self.connections) > most:
            self.app = _FULL
        self._wait_for_the_rest(SEND_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_all()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._sending and self._patience is None:
            self._wait_for_the_rest(_SEND_WHEN_LEAVING_S if self._leaving else SEND_S)

    def on_message_begin(self) -> None:
        self._sending = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._leaving:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._has_all()
        super().on_message_complete()

    def _wait_for_the_rest(self, within_s: float) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(within_s, self._give_up)

    def _has_all(self) -> None:
        self._sending = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if self._sending and not self._is_answering():
            self.transport.write(_TOO_SLOW)
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    def shutdown(self) -> None:
        """The server stops, and takes no new connections any more."""
        self._leaving = True
        in_work = self.cycle is not None and not self.cycle.response_complete
        if in_work:
            self.cycle.keep_alive = False
        if self._sending:
            self._wait_for_the_rest(_SEND_WHEN_LEAVING_S)
        elif not in_work:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(_LEAVE_S, self.timeout_keep_alive_handler)


def _raw(response: Response) -> bytes:
    head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
    return b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n" + head + b"\r\n" + bytes(response.body)


_TOO_SLOW = _raw(problems.problem(408, "the request did not arrive in time"))
_FULL: Any = Identified(problems.busy("too many connections are open", {"Connection": "close"}))
