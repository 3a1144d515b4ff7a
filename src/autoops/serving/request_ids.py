"""The id by which a request is found in the logs, and a line for each request where somebody wants one."""

import logging
import random
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops import logs, tracing
from autoops.serving.middleware import Watched

HEADER = b"x-request-id"
_chance = random.Random()
"""Seeded by the system, and asked without it: a call into it for each request would hand the interpreter's lock to the
thread that commits, and wait until that gives it back."""

_usable = re.compile(rb"[\x21-\x7e]{1,128}").fullmatch

logger = logging.getLogger(__name__)


class Identified:
    """Takes the client's `X-Request-Id`, where it is short and printable, and otherwise makes one; every line of the
    request has it, and so has the answer. It stays bound, because the server logs what escapes from here in the same
    task, which is the request's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = b""
        for name, value in scope["headers"]:
            if name == HEADER:
                request_id = value
        if not _usable(request_id):
            request_id = b"%032x" % _chance.getrandbits(128)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
            await send(message)

        text = request_id.decode()
        logs.bind(request_id=text)
        tracing.mark("http.request.id", text)
        await self._app(scope, receive, named)


class Told(Watched):
    """One line for each request."""

    def over(self, scope: Scope, status: int, duration_ns: int) -> None:
        method, path = scope["method"], scope["raw_path"].decode("latin-1")
        fields = {
            "http.request.method": method,
            "url.path": path,
            "http.response.status_code": status,
            "event.duration": duration_ns,
        }
        logger.info("%s %s %d in %.1f ms", method, path, status, duration_ns / 1e6, extra=fields)
