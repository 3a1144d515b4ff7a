"""What a client may do to its connection, what becomes of it when the server stops, and how many there are."""

import asyncio
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from autoops.serving.http import connections
from autoops.serving.http import server as api_server
from autoops.settings import Serving, Settings
from tests.eventually import eventually
from tests.ports import free_port

ASK = b"GET /now HTTP/1.1\r\nHost: here\r\n\r\n"
WAIT = ASK.replace(b"/now", b"/later")
LONG_S, SHORT_S = 60, 0.01
LARGE = b"x" * 12_000_000
"""More than the system's buffers of a connection hold."""

POST = b"POST /now HTTP/1.1\r\nHost: here\r\n"


@dataclass
class Application:
    """Answers `/later` when `go_on` is set."""

    go_on: threading.Event
    asked: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        while scope["path"] == "/later" and not self.go_on.is_set():
            await asyncio.sleep(0.01)
        body = LARGE if scope["path"] == "/large" else b"ok"
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True)
class Running:
    server: uvicorn.Server
    application: Application
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LONG_S)

    def stop(self) -> None:
        """Returns when its connections know of it."""
        self.server.should_exit = True
        eventually(self._takes_no_more)

    def _takes_no_more(self) -> bool:
        try:
            self.connect().close()
        except ConnectionError:
            return True
        return False


@pytest.fixture
def running(settings: Settings) -> Iterator[Running]:
    application = Application(threading.Event())
    port = free_port()
    config = api_server.config(application, settings.serving, port=port, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield Running(server, application, port)
    finally:
        application.go_on.set()
        server.should_exit = True
        thread.join()


def all_of(connection: socket.socket) -> bytes:
    """Until the server closes it."""
    return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_connection_that_is_open_is_heard_once_more(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LEAVE_S", LONG_S)
    with running.connect() as client:
        client.sendall(ASK)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        running.stop()
        client.sendall(ASK)
        answer = all_of(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer


def test_a_connection_that_says_nothing_more_is_left(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LEAVE_S", SHORT_S)
    with running.connect() as silent, running.connect() as done:
        done.sendall(ASK)
        assert done.recv(4096).startswith(b"HTTP/1.1 200 ")
        running.stop()
        assert (all_of(silent), all_of(done)) == (b"", b"")


def test_a_request_that_is_in_work_is_answered(running: Running) -> None:
    with running.connect() as client:
        client.sendall(WAIT)
        eventually(lambda: running.application.asked)
        running.stop()
        running.application.go_on.set()
        answer = all_of(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"ok")


@pytest.mark.parametrize("before", [b"", ASK[:20]], ids=["begun when it stops", "begun before"])
def test_a_request_that_is_not_sent_in_time_is_told_so(
    running: Running, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr(connections, "_LEAVE_S", LONG_S)
    monkeypatch.setattr(connections, "_SEND_WHEN_LEAVING_S", SHORT_S)
    monkeypatch.setattr(connections, "_LOOK_S", SHORT_S)
    with running.connect() as slow:
        slow.sendall(ASK + before)
        assert slow.recv(4096).startswith(b"HTTP/1.1 200 ")
        running.stop()
        if not before:
            slow.sendall(ASK[:20])
        answer = all_of(slow)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert b"application/problem+json" in answer


def test_a_client_that_sends_byte_by_byte_has_no_more_time_than_another(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SEND_S", 0.3)
    monkeypatch.setattr(connections, "_LOOK_S", 0.1)
    with running.connect() as slow:
        slow.settimeout(SHORT_S)
        assert any(_is_left_after(slow, bytes([byte])) for byte in ASK[:-2] + b"x: " + b"y" * 1500)


def _is_left_after(client: socket.socket, sent: bytes) -> bool:
    """Whether the server had enough of it: it says so, or the connection is gone."""
    try:
        client.sendall(sent)
        client.recv(4096)
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """As many as a process may have that asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    yield 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors_are_asked_for_and_connections_are_bounded_by_them(few_descriptors: int) -> None:
    for _ in range(2):
        most = getattr(api_server.config(None, Serving()).http, "most")  # noqa: B009
        assert most == min(few_descriptors - 256, 4_096)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == few_descriptors


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(ASK[:-2] + b"a: b\r\n" * 101 + b"\r\n", id="many headers"),
        pytest.param(ASK[:-2] + b"a: " + b"b" * 17_000 + b"\r\n\r\n", id="a large header"),
        pytest.param(ASK.replace(b"now", b"n" * 17_000), id="a large request line"),
        pytest.param(ASK[:-2] + b"a: b\r\n" * 3_000, id="headers without end"),
        pytest.param(ASK[:-2] + b"a: " + b"b" * 17_000, id="a header without end"),
        pytest.param(b"GET /" + b"n" * 17_000, id="a request line without end"),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\na: " + b"b" * 17_000, id="a trailer without end"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + b"a: b\r\n" * 101, id="many trailers"
        ),
    ],
)
def test_a_head_beyond_the_limits_ends_the_connection(running: Running, sent: bytes) -> None:
    with running.connect() as client:
        client.sendall(sent)
        answer = all_of(client)
    assert b"HTTP/1.1 431 " in answer
    assert b"application/problem+json" in answer


def test_a_head_within_the_limits_is_taken_however_it_arrives(running: Running) -> None:
    head = ASK[:-2] + b"".join(b"a%d: %b\r\n" % (number, b"b" * 140) for number in range(99)) + b"\r\n"
    assert len(head) > 14_000
    with running.connect() as client:
        for sent in (head, *(head[at : at + 1_000] for at in range(0, len(head), 1_000))):
            client.sendall(sent)
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") < 2:
            answers += client.recv(4096)
    assert answers.count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(POST + b"Content-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(POST + b"Content-Length: two\r\n\r\n", id="no number"),
        pytest.param(POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", id="two lengths"),
        pytest.param(
            POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="length and chunks"
        ),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="a chunk of no size"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01" * 40, id="TLS"),
        pytest.param(ASK * 40, id="pipelined requests beyond the limit"),
    ],
)
def test_what_is_not_http_is_answered_400_and_closed(running: Running, sent: bytes) -> None:
    with running.connect() as client:
        client.sendall(sent)
        answer = all_of(client)
    assert b"HTTP/1.1 400 Bad Request" in answer


def test_pipelined_requests_within_the_limit_are_answered_in_order(running: Running) -> None:
    with running.connect() as client:
        client.sendall(ASK * connections.PIPELINED)
        answers = b""
        while answers.count(b"ok") < connections.PIPELINED:
            answers += client.recv(4096)
    assert answers.count(b"HTTP/1.1 200 ") == connections.PIPELINED


def open_connections(running: Running) -> int:
    return len(running.server.server_state.connections)


@pytest.mark.parametrize("asked", [b"GET /large HTTP/1.1\r\nHost: here\r\n", b"GET /large HTTP/1.0\r\n"])
def test_a_client_that_reads_nothing_is_cut_off(
    running: Running, monkeypatch: pytest.MonkeyPatch, asked: bytes
) -> None:
    """Also where the connection is to be closed: that waits for the client."""
    monkeypatch.setattr(connections, "READ_S", SHORT_S)
    monkeypatch.setattr(connections, "_LOOK_S", SHORT_S)
    with running.connect() as client:
        client.sendall((asked + b"\r\n") * 4)
        eventually(lambda: running.application.asked)
        eventually(lambda: open_connections(running) == 0)


def test_of_answers_that_nobody_reads_the_oldest_are_dropped(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_UNREAD_BYTES", 2 * len(LARGE))
    connected = running.server.server_state.connections
    with ExitStack() as stack:
        clients = []
        for number in range(1, 8):
            clients.append(stack.enter_context(running.connect()))
            clients[-1].sendall(ASK.replace(b"/now", b"/large"))
            eventually(lambda number=number: running.application.asked == number)  # type: ignore[misc]
        eventually(lambda: 0 < sum(one.transport.get_write_buffer_size() for one in connected) <= 2 * len(LARGE))
        ports = {client.getsockname()[1] for client in clients}
        left = {one.client[1] for one in list(connected)}
        assert left < ports
        assert clients[-1].getsockname()[1] in left
        assert clients[0].getsockname()[1] not in left


def test_beyond_the_connections_that_are_served_requests_are_refused(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections.Connection, "most", 1)
    monkeypatch.delattr(running.server.config.http_protocol_class, "most")
    with running.connect() as first, running.connect() as second:
        for client, status in ((first, 200), (second, 503)):
            client.sendall(ASK)
            assert status_of(client.recv(4096)) == status


def test_uvicorn_has_what_connections_rely_on(running: Running) -> None:
    with running.connect() as client:
        client.sendall(WAIT)
        eventually(lambda: running.application.asked)
        (connection,) = running.server.server_state.connections
        assert connection in connection.connections
        assert connection.headers == [(b"host", b"here")]
        assert (connection.url, list(connection.pipeline)) == (b"/later", [])
        assert (connection.cycle.response_started, connection.cycle.response_complete) == (False, False)
        assert connection.parser is not None
        assert connection.loop.time() > 0
