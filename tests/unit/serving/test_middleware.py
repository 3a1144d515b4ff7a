import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoops.errors import ServiceUnavailable
from autoops.serving.http.middleware import STOPPING, LoadShedding, RequestLayer, path_of
from autoops.serving.metrics import Metrics

POST: Scope = {"type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "headers": []}


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


def layer(app: ASGIApp, metrics: Metrics | None = None, **limits: int) -> RequestLayer:
    return RequestLayer(app, metrics or Metrics(), LoadShedding(**limits), ["/predict", "/defect"])


async def ask(load_shedding: RequestLayer, size: int, scope: Scope = POST) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * size}

    async def send(message: Message) -> None:
        sent.append(message)

    await load_shedding(scope, receive, send)
    return sent


def test_bodies_that_are_held_count_until_their_requests_end() -> None:
    async def main() -> None:
        reader = Reader()
        load_shedding = layer(reader, requests=10, body_bytes=250, all_bytes=100)
        for sizes, one_more in (([250], 1), ([60, 40], 1), ([60], 41)):
            reader.go_on.clear()
            held = [asyncio.create_task(ask(load_shedding, size)) for size in sizes]
            await asyncio.sleep(0)
            assert reader.held == len(sizes)
            with pytest.raises(ServiceUnavailable, match="large"):
                await ask(load_shedding, one_more)
            reader.go_on.set()
            await asyncio.gather(*held)
        with pytest.raises(HTTPException, match="at most 250 bytes"):
            await ask(load_shedding, 251)
        await ask(load_shedding, 250)

    asyncio.run(main())


def test_beyond_so_many_requests_only_those_that_read_are_let_in() -> None:
    async def main() -> None:
        reader = Reader()
        metrics = Metrics()
        load_shedding = layer(reader, metrics, requests=2, body_bytes=10, all_bytes=100)
        held = [asyncio.create_task(ask(load_shedding, 1)) for _ in range(2)]
        await asyncio.sleep(0)
        start, _ = await ask(load_shedding, 1)
        assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"1")
        held.append(asyncio.create_task(ask(load_shedding, 1, POST | {"method": "GET"})))
        await asyncio.sleep(0)
        assert reader.held == 3
        assert b"\nautoops_http_requests_in_flight 2.0\n" in metrics.text()
        reader.go_on.set()
        await asyncio.gather(*held)
        assert await ask(load_shedding, 1) == []
        assert b"\nautoops_http_requests_in_flight 0.0\n" in metrics.text()

    asyncio.run(main())


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/defect":
        raise ValueError("a defect")
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


def test_answers_are_counted_and_timed_by_route_and_status() -> None:
    metrics = Metrics()
    measured = layer(answering, metrics, requests=1, body_bytes=10, all_bytes=10)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> None:
        for path in ("/predict", "/predict", "/made-up", "/made-up-too"):
            await measured(POST | {"path": path}, receive, send)
        with pytest.raises(ValueError, match="a defect"):
            await measured(POST | {"path": "/defect"}, receive, send)
        await measured({"type": "lifespan", "path": "/predict"}, receive, send)

    asyncio.run(main())
    assert [message.get("status") for message in sent] == [201, None] * 5
    lines = dict(line.rsplit(" ", 1) for line in metrics.text().decode().splitlines() if not line.startswith("#"))
    counted = {name: value for name, value in lines.items() if name.startswith("autoops_http_requests_total")}
    assert counted == {
        'autoops_http_requests_total{route="/predict",status="201"}': "2.0",
        'autoops_http_requests_total{route="other",status="201"}': "2.0",
        'autoops_http_requests_total{route="/defect",status="500"}': "1.0",
    }
    assert lines['autoops_http_request_seconds_count{route="/predict"}'] == "2.0"
    assert 0 <= float(lines['autoops_http_request_seconds_sum{route="/predict"}']) < 60


def test_what_is_no_request_is_let_in_whatever_is_in_work() -> None:
    async def main() -> None:
        load_shedding = layer(answering, requests=0, body_bytes=10, all_bytes=10)
        assert [message["type"] for message in await ask(load_shedding, 1, {"type": "lifespan", "path": ""})] == [
            "http.response.start",
            "http.response.body",
        ]

    asyncio.run(main())


def test_an_answer_that_nobody_reads_keeps_nobody_out() -> None:
    async def main() -> None:
        stuck = asyncio.Event()

        async def answers(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await stuck.wait()

        load_shedding = layer(answers, requests=2, body_bytes=250, all_bytes=300)
        unread = [asyncio.create_task(ask(load_shedding, 250)) for _ in range(5)]
        await asyncio.sleep(0)
        stuck.set()
        assert [answer["status"] for (answer,) in await asyncio.gather(*unread)] == [200] * 5

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/predict\n", "/predict\r", "/pre\x00dict", "/predict\u2028"])
def test_a_path_with_what_cannot_be_seen_is_none_of_ours(path: str) -> None:
    (start, _) = asyncio.run(ask(layer(answering, requests=1, body_bytes=1, all_bytes=1), 1, POST | {"path": path}))
    assert start["status"] == 404


@pytest.mark.parametrize(
    ("path", "routed"), [("/api/predict", "/predict"), ("/predict", "/predict"), ("/apix", "/apix")]
)
def test_the_prefix_of_a_proxy_is_no_part_of_the_path(path: str, routed: str) -> None:
    assert path_of({"path": path, "root_path": "/api"}) == routed


def test_a_hot_route_is_asked_past_the_application_and_its_errors_are_answered() -> None:
    error: Exception

    async def hot(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    asked = RequestLayer(answering, Metrics(), LoadShedding(1, 1, 1), hot={("POST", "/predict"): hot})
    for known, status in ((ServiceUnavailable("busy"), 503), (HTTPException(413, "large"), 413)):
        error = known
        (start, _) = asyncio.run(ask(asked, 1))
        assert start["status"] == status
    error = ValueError("a defect")
    with pytest.raises(ValueError, match="a defect"):
        asyncio.run(ask(asked, 1))
    (start, _) = asyncio.run(ask(asked, 1, POST | {"path": "/elsewhere"}))
    assert start["status"] == 201


def test_what_a_stop_cuts_off_is_answered_unless_its_answer_has_begun() -> None:
    async def main() -> None:
        async def begins(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.sleep(60)

        for app, raised in ((Reader(), False), (begins, True)):
            load_shedding = LoadShedding(requests=2, body_bytes=10, all_bytes=100)
            request = asyncio.create_task(ask(RequestLayer(app, Metrics(), load_shedding), 1))
            await asyncio.sleep(0)
            request.cancel("the time for a stop is over")
            if raised:
                with pytest.raises(asyncio.CancelledError):
                    await request
            else:
                start, body = await request
                assert start["status"] == 503
                assert STOPPING.encode() in body["body"]
            assert (load_shedding.in_work, load_shedding.held_bytes) == (0, 0)

    asyncio.run(main())
