"""What becomes of connections when the server stops, and how many it takes."""

import asyncio
import resource
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from autoops.serving import connections
from autoops.serving import server as api_server
from autoops.settings import Serving, Settings
from tests.eventually import eventually
from tests.ports import free_port

ASK = b"GET /now HTTP/1.1\r\nHost: here\r\n\r\n"
WAIT = ASK.replace(b"/now", b"/later")
LONG_S, SHORT_S = 60, 0.01


@dataclass
class Application:
    """Answers `/later` when `go_on` is set."""

    go_on: threading.Event
    asked: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        while scope["path"] == "/later" and not self.go_on.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


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


def test_there_are_as_many_connections_as_descriptors_can_be_had(few_descriptors: int) -> None:
    for _ in range(2):
        assert api_server.config(None, Serving()).limit_concurrency == few_descriptors - 256
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == few_descriptors
