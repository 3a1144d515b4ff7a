"""Who takes a connection that several workers could take; another worker is a tally and a socket of the same port."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoops.serving.listener import Listener, Tallies, _tally

LONG_S, SHORT_S = 600.0, 0.01


class Protocol(asyncio.Protocol):
    """What of uvicorn's the listener looks at."""

    def __init__(self, connections: "set[Protocol]") -> None:
        self.connections = connections
        self.leaves = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connections.add(self)

    def shutdown(self) -> None:
        self.leaves = True


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


@pytest.fixture
def another() -> Iterator[int]:
    """The process id of a worker that lives."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid


class Worker:
    def __init__(self, listening: socket.socket, folder: Path, comes_within_s: float) -> None:
        self.connections: set[Protocol] = set()
        self.listener = Listener(
            asyncio.get_running_loop(),
            lambda: Protocol(self.connections),  # type: ignore[arg-type, return-value]
            listening,
            Tallies(folder),
            comes_within_s,
        )

    async def has(self, number: int, leaving: int = 0) -> None:
        async with asyncio.timeout(60):
            while len(self.connections) < number or sum(one.leaves for one in self.connections) < leaving:
                await asyncio.sleep(0.005)


def connect(listening: socket.socket, number: int) -> list[socket.socket]:
    return [socket.create_connection(listening.getsockname(), timeout=60) for _ in range(number)]


def say(folder: Path, pid: int, connections: int) -> None:
    _tally(folder / f"{pid}.connections")[0] = connections


def test_one_that_has_fewest_takes_what_comes_and_tells_the_others(
    listening: socket.socket, another: int, tmp_path: Path
) -> None:
    say(tmp_path, another, 2)

    async def main() -> None:
        worker = Worker(listening, tmp_path, LONG_S)
        connect(listening, 1)
        await worker.has(1)
        assert _tally(tmp_path / f"{os.getpid()}.connections")[0] == 0, "as it was when the connection came"
        connect(listening, 2)
        await worker.has(3)
        assert _tally(tmp_path / f"{os.getpid()}.connections")[0] == 2
        worker.listener.close()

    asyncio.run(main())


def test_one_that_has_more_leaves_a_connection_to_the_others(
    listening: socket.socket, another: int, tmp_path: Path
) -> None:
    say(tmp_path, another, 1)

    async def main() -> None:
        worker = Worker(listening, tmp_path, LONG_S)
        connect(listening, 4)
        await worker.has(2)
        for _ in range(2):
            await asyncio.to_thread(_accept, listening)
        assert len(worker.connections) == 2
        worker.listener.close()

    asyncio.run(main())


def _accept(listening: socket.socket) -> None:
    """As the other worker."""
    with socket.socket(fileno=os.dup(listening.fileno())) as same:
        same.accept()[0].close()


def test_what_nobody_takes_is_taken_all_the_same(listening: socket.socket, another: int, tmp_path: Path) -> None:
    say(tmp_path, another, 0)

    async def main() -> None:
        worker = Worker(listening, tmp_path, SHORT_S)
        connect(listening, 5)
        await worker.has(5)
        worker.listener.close()

    asyncio.run(main())


def test_a_worker_that_is_gone_or_has_stopped_is_not_waited_for(
    listening: socket.socket, another: int, tmp_path: Path
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    say(tmp_path, gone.pid, 0)
    say(tmp_path, another, 0)

    async def main() -> None:
        worker = Worker(listening, tmp_path, LONG_S)
        connect(listening, 1)
        await worker.has(1)
        (tmp_path / f"{another}.connections").unlink()
        connect(listening, 3)
        await worker.has(4)
        worker.listener.close()
        assert list(tmp_path.glob(f"{os.getpid()}.*")) == []

    asyncio.run(main())


def test_who_connects_as_it_closes_is_taken_and_told_to_leave(
    listening: socket.socket, another: int, tmp_path: Path
) -> None:
    async def main() -> None:
        worker = Worker(listening, tmp_path, LONG_S)
        connect(listening, 1)
        await worker.has(1)
        say(tmp_path, another, 0)
        connect(listening, 2)
        worker.listener.close()
        await worker.has(3, leaving=2)

    asyncio.run(main())


class Exhausted(socket.socket):
    """A socket of a process that has no descriptor left, once."""

    refused = False

    def accept(self) -> tuple[socket.socket, object]:
        if not self.refused:
            self.refused = True
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_descriptors_it_is_said_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoops.serving.listener._RESTS_S", SHORT_S)

    async def main() -> None:
        with Exhausted() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            worker = Worker(listening, tmp_path, LONG_S)
            connect(listening, 1)
            await worker.has(1)
            worker.listener.close()

    asyncio.run(main())
    assert "no connection can be taken: [Errno 24] Too many open files" in caplog.text


def test_nothing_is_taken_any_more_once_it_is_closed(listening: socket.socket, another: int, tmp_path: Path) -> None:
    say(tmp_path, another, 0)

    async def main() -> None:
        worker = Worker(listening, tmp_path, SHORT_S)
        connect(listening, 1)
        await worker.has(1)
        worker.listener.close()
        await worker.listener.wait_closed()
        connect(listening, 1)
        await asyncio.sleep(5 * SHORT_S)
        assert len(worker.connections) == 1
        await asyncio.to_thread(_accept, listening)

    asyncio.run(main())
