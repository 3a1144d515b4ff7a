"""How the workers of one server share out its connections: evenly.

The system gives a new connection to whichever worker comes first, and so at times four of five to one of two; a client
that keeps its connection keeps its worker. Here whoever has more than another lets that one come first.
"""

import asyncio
import contextlib
import logging
import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from autoops.serving.connections import Connection
from autoops.serving.intercom import is_alive
from autoops.serving.server import shared_folder

logger = logging.getLogger(__name__)

_COMES_WITHIN_S = 0.002
"""How long the others have for it; one that is busy for longer, or has stopped, loses its turn."""

_RESTS_S = 1.0
"""After the system had no descriptor or no memory for a connection."""


class Loop(uvloop.Loop):
    """Of a worker: uvicorn listens through it."""

    async def create_server(  # type: ignore[override]
        self, protocol: Callable[[], Connection], *, sock: socket.socket, backlog: int, **_of_uvicorn: Any
    ) -> "Listener":
        folder = shared_folder()
        assert folder is not None
        sock.listen(backlog)
        return Listener(self, protocol, sock, Tallies(folder))


class Tallies:
    """How many connections each worker has, eight bytes of each in a folder that they share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{os.getpid()}.connections"
        self._mine = _tally(self._path)
        self._others: list[memoryview] = []
        self._looked_at = 0

    def is_least(self, mine: int) -> bool:
        """Whether no other has fewer; the others learn of these."""
        self._mine[0] = mine
        changed_at = self._folder.stat().st_mtime_ns
        if changed_at != self._looked_at:
            self._others, self._looked_at = self._look(), changed_at
        return all(mine <= other[0] for other in self._others)

    def _look(self) -> list[memoryview]:
        paths = (path for path in self._folder.glob("*.connections") if path != self._path)
        return [_tally(path) for path in paths if is_alive(int(path.stem))]

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def _tally(path: Path) -> memoryview:
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(file, 8)
        return memoryview(mmap.mmap(file, 8)).cast("Q")
    finally:
        os.close(file)


class Listener:
    """Takes connections off a socket that others listen on, too."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: Callable[[], Connection],
        listening: socket.socket,
        tallies: Tallies,
        comes_within_s: float = _COMES_WITHIN_S,
    ) -> None:
        self._loop = loop
        self._protocol = protocol
        self._listening = listening
        self._tallies = tallies
        self._comes_within_s = comes_within_s
        self._connections: set[Any] = set()
        self._coming: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False
        listening.setblocking(False)
        self._listen()

    def _listen(self) -> None:
        self._loop.add_reader(self._listening, self._knocked)

    def _knocked(self) -> None:
        if self._tallies.is_least(len(self._connections) + len(self._coming)):
            self._accept()
        else:
            self._after(self._comes_within_s, self._nobody_came)

    def _nobody_came(self) -> None:
        """Or somebody did, and there is none left."""
        self._listen()
        self._accept()

    def _accept(self) -> bool:
        """False: none was there, or none can be taken."""
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            logger.error("no connection can be taken: %s", error)
            self._after(_RESTS_S, self._listen)
            return False
        task = self._loop.create_task(self._connect(connection))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)
        return True

    async def _connect(self, connection: socket.socket) -> None:
        protocol = self._protocol()
        self._connections = protocol.connections
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
            if self._closed:
                protocol.shutdown()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listening)
        self._pause = self._loop.call_later(seconds, action)

    def close(self) -> None:
        """Who has connected by now is answered, and told to leave: uvicorn tells those that it knows of already."""
        self._closed = True
        while self._accept():
            pass
        self._loop.remove_reader(self._listening)
        if self._pause is not None:
            self._pause.cancel()
        self._tallies.remove()

    async def wait_closed(self) -> None:
        """There is nothing to wait for."""
