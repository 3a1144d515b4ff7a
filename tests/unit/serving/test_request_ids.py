"""The id of a request: the client's where it will do, else one of ours; and the line about each."""

import asyncio
import logging
import re
from collections.abc import Callable

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops.serving.http.middleware import LoadShedding, RequestLayer
from autoops.serving.http.request_ids import HEADER, WithRequestId
from autoops.serving.metrics import Metrics

REQUEST: Scope = {"type": "http", "method": "POST", "path": "/a b", "raw_path": b"/a%20b", "headers": []}
STARTED: Message = {"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]}
ENDED: Message = {"type": "http.response.body", "body": b"x"}


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    for message in (STARTED, ENDED):
        await send(dict(message))


async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("a defect")


def layer(app: ASGIApp) -> ASGIApp:
    return RequestLayer(app, Metrics(), LoadShedding(1, 1, 1), log_requests=True)


def ask(app: ASGIApp, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def answered_id(given: bytes | None, kind: Callable[[ASGIApp], ASGIApp] = layer) -> bytes:
    headers = [(b"x", b"y")] if given is None else [(HEADER, given), (b"x", b"y")]
    started, ended = ask(kind(answering), REQUEST | {"headers": headers})
    kept, (name, request_id), *_ = started["headers"]
    assert (kept, name, ended) == ((b"a", b"b"), HEADER, ENDED)
    return bytes(request_id)


@pytest.mark.parametrize("given", [b"a", b"ride/7:retry=1", b"!~", b"x" * 128])
def test_the_clients_id_stands_in_the_answer(given: bytes) -> None:
    assert answered_id(given) == given
    assert answered_id(given, WithRequestId) == given


@pytest.mark.parametrize("given", [None, b"", b"a b", b"x" * 129, b"\xc3\xbc", b"a\x7f", b"a\n"])
def test_else_one_is_made_for_each(given: bytes | None) -> None:
    made = [answered_id(given) for _ in range(2)]
    assert all(re.fullmatch(rb"[0-9a-f]{32}", one) for one in made)
    assert made[0] != made[1]


def test_what_is_no_request_passes() -> None:
    assert ask(layer(answering), {"type": "lifespan"}) == [STARTED, ENDED]


def test_each_request_is_told_with_what_came_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        ask(layer(answering), REQUEST)
        with pytest.raises(ValueError, match="a defect"):
            ask(layer(breaking), REQUEST)
    told = [vars(record) for record in caplog.records]
    assert [one["http.response.status_code"] for one in told] == [201, 500]
    for one in told:
        assert (one["http.request.method"], one["url.path"]) == ("POST", "/a%20b")
        assert 0 <= one["event.duration"] < 60e9
        assert "\n" not in one["message"]
