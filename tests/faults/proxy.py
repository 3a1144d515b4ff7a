"""A port in front of a server: whoever asks there asks the server, until a test puts a fault in between."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, Self

import psutil

CHUNK_BYTES = 1 << 16

Kind = Literal["close", "stall", "answer", "cut off", "kill before", "kill after"]


@dataclass
class Fault:
    """What becomes of what a client sends where `where` is found in it. `kill`: of the process that sends, by SIGKILL,
    before the server hears of it or once the server has answered."""

    kind: Kind
    where: bytes = b""
    status: int = 503
    cut_bytes: int = 0
    met: threading.Event = field(default_factory=threading.Event)

    def concerns(self, sent: bytes) -> bool:
        return re.search(self.where, sent, re.DOTALL) is not None

    @property
    def response(self) -> bytes:
        body = b"a proxy in between says no"
        return b"HTTP/1.1 %d No\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
            self.status,
            len(body),
            body,
        )


class Proxy:
    """Use as a context manager. `fault` and `guard` may be set and taken away at any time; `guard` is asked of each
    process that sends, and what one of which it says True has sent goes nowhere."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.port: int = self._listener.getsockname()[1]
        self.fault: Fault | None = None
        self.guard: Callable[[psutil.Process], bool] | None = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.fault = None
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end(*self._open)

    @contextmanager
    def put(self, fault: Fault, keep: bool = False) -> Iterator[Fault]:
        """For as long as the block lasts. What is open is closed before, as by a network that breaks, unless it is
        to `keep`."""
        self.fault = fault
        if not keep:
            self._end(*self._open)
        try:
            yield fault
        finally:
            self.fault = None
            self._end(*self._open)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with suppress(OSError):
                    server = socket.create_connection(("127.0.0.1", self._upstream))
                    self._open |= {client, server}
                    passage = _Passage(self, client, server)
                    for end in (passage.ask, passage.answer):
                        threading.Thread(target=self._run, args=(end, client, server), daemon=True).start()

    def _run(self, end: object, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, psutil.NoSuchProcess, StopIteration):
            end()  # type: ignore[operator]
        self._end(client, server)

    def _end(self, *ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._open.discard(end)


class _Passage:
    """One connection: two threads carry what is sent to and fro."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._after: Fault | None = None

    def ask(self) -> None:
        while sent := self._client.recv(CHUNK_BYTES):
            fault, guard = self._proxy.fault, self._proxy.guard
            if guard is not None and guard(self._sender()):
                return
            if fault is not None and fault.concerns(sent) and not self._passes(fault):
                return
            self._server.sendall(sent)

    def _passes(self, fault: Fault) -> bool:
        """Whether what was sent goes on to the server all the same."""
        if fault.kind in ("kill after", "cut off"):
            self._after = fault
            return True
        fault.met.set()
        if fault.kind == "kill before":
            self._sender().kill()
        elif fault.kind == "answer":
            self._client.sendall(fault.response)
        elif fault.kind == "stall":
            while self._proxy.fault is fault and self._client.recv(CHUNK_BYTES):
                pass
        return False

    def answer(self) -> None:
        passed = 0
        while received := self._server.recv(CHUNK_BYTES):
            after = self._after
            if after is not None and after.kind == "kill after":
                after.met.set()
                self._sender().kill()
                return
            if after is not None and passed + len(received) > after.cut_bytes:
                after.met.set()
                self._client.sendall(received[: max(after.cut_bytes - passed, 0)])
                return
            passed += len(received) if after is not None else 0
            self._client.sendall(received)

    def _sender(self) -> psutil.Process:
        port = self._client.getpeername()[1]
        held = (one for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.pid)
        return psutil.Process(next(held).pid)
