"""How workers ask each other; one of another process is one whose socket has another number."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from autoops.serving.intercom import Intercom, Reply

PATIENT_S = 60


async def another(folder: Path, pid: int, answer: Callable[[str], Awaitable[dict[str, Any]]]) -> None:
    await Intercom(folder).open(answer)
    mine(folder).rename(folder / f"{pid}.sock")


def mine(folder: Path) -> Path:
    return folder / f"{os.getpid()}.sock"


async def echo(question: str) -> dict[str, Any]:
    return {"asked": question}


def test_all_others_are_asked_and_oneself_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        for pid in (3, 2):
            await another(tmp_path, pid, echo)
        asking = Intercom(tmp_path)
        await asking.open(echo)
        assert not asking.alone
        assert sorted(await asking.ask("info", PATIENT_S), key=lambda reply: reply.pid) == [
            Reply(2, {"asked": "info"}),
            Reply(3, {"asked": "info"}),
        ]
        asking.close()
        assert not mine(tmp_path).exists()

    asyncio.run(main())


def test_an_answer_may_be_long(tmp_path: Path) -> None:
    async def at_length(question: str) -> dict[str, Any]:
        return {"asked": question * 200_000}

    async def main() -> None:
        await another(tmp_path, 2, at_length)
        assert await Intercom(tmp_path).ask("info", PATIENT_S) == [Reply(2, {"asked": "info" * 200_000})]

    asyncio.run(main())


def test_one_that_does_not_answer_in_time_is_told_apart_from_one_that_is_gone(tmp_path: Path) -> None:
    async def silence(question: str) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def main() -> None:
        asking = Intercom(tmp_path)
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(tmp_path / "3.sock"))
        async with await asyncio.start_unix_server(breaks_off, tmp_path / "4.sock"):
            assert await asking.ask("info", PATIENT_S) == []
        assert not (tmp_path / "3.sock").exists()
        (tmp_path / "4.sock").unlink()
        await another(tmp_path, 2, silence)
        assert await asking.ask("info", 0.01) == [Reply(2, None)]
        assert (tmp_path / "2.sock").exists()

    asyncio.run(main())


def test_one_that_is_alone_asks_nobody() -> None:
    async def main() -> None:
        alone = Intercom(None)
        await alone.open(echo)
        assert alone.alone
        assert await alone.ask("info", PATIENT_S) == []
        alone.close()

    asyncio.run(main())


@pytest.mark.parametrize("sent", [b"", b"info"])
def test_whoever_asks_and_leaves_breaks_nothing(tmp_path: Path, sent: bytes) -> None:
    async def main() -> None:
        await another(tmp_path, 2, echo)
        _, writer = await asyncio.open_unix_connection(tmp_path / "2.sock")
        writer.write(sent)
        writer.close()
        assert await Intercom(tmp_path).ask("info", PATIENT_S) == [Reply(2, {"asked": "info"})]

    asyncio.run(main())
