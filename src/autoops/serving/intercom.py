"""How the workers of one server ask each other: a Unix socket for each in a folder that they share."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

logger = logging.getLogger(__name__)

Answer = Callable[[str], Awaitable[dict[str, Any]]]

_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Reply:
    """`content` None: the worker did not answer in time."""

    pid: int
    content: dict[str, Any] | None


class Intercom:
    """Of one worker. `folder` None: there are no others."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.alone = folder is None
        self._server: asyncio.Server | None = None

    async def open(self, answer: Answer) -> None:
        """From now on the others are answered."""
        if self._folder is None:
            return

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer), contextlib.suppress(OSError):
                question = (await reader.readline()).decode().strip()
                writer.write(orjson.dumps(await answer(question)) + b"\n")
                await writer.drain()

        self._server = await asyncio.start_unix_server(serve, self._socket_of(os.getpid()), limit=_LINE_BYTES)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._socket_of(os.getpid()).unlink(missing_ok=True)

    async def ask(self, question: str, within_s: float) -> list[Reply]:
        """All others at the same time; one that is gone has no reply."""
        sockets = () if self._folder is None else sorted(self._folder.glob("*.sock"))
        others = [path for path in sockets if int(path.stem) != os.getpid()]
        replies = await asyncio.gather(*(_ask(path, question, within_s) for path in others))
        return [reply for reply in replies if reply is not None]

    def _socket_of(self, pid: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{pid}.sock"


def is_alive(pid: int) -> bool:
    """Whether there is still such a process."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


async def _ask(path: Path, question: str, within_s: float) -> Reply | None:
    pid = int(path.stem)
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_BYTES)
            with contextlib.closing(writer):
                writer.write(f"{question}\n".encode())
                line = await reader.readline()
    except TimeoutError:
        logger.warning("worker %d did not answer within %g s", pid, within_s)
        return Reply(pid, None)
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return None
    except OSError:
        return None
    return Reply(pid, orjson.loads(line)) if line else None
