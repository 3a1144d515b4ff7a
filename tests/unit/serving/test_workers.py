"""What the workers of a server tell of each other; one of another process is one whose socket has another number."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoops.bundle import MODEL
from autoops.registry import CHAMPION
from autoops.serving import workers as module
from autoops.serving.holder import Holder
from autoops.serving.intercom import Intercom
from autoops.serving.last_served import LastServed
from autoops.serving.metrics import Metrics
from autoops.serving.status import ReloadedWorker, Worker
from autoops.serving.workers import Workers
from tests.bundles import register_small
from tests.fakes import FakeRegistry, HeldClock
from tests.unit.serving.test_intercom import PATIENT_S, another

MINE = os.getpid()
OTHERS = (MINE + 1, MINE - 1)


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    registry = FakeRegistry(tmp_path / "registry")
    register_small(registry, tmp_path / "made")
    registry.set_alias(CHAMPION, 1)
    return registry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workers").mkdir()
    return tmp_path / "workers"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def make(tmp_path: Path, registry: FakeRegistry, metrics: Metrics) -> Callable[[Path | None], Workers]:
    def begin(folder: Path | None) -> Workers:
        holder = Holder(registry, CHAMPION, LastServed(tmp_path / "models", "trips"), HeldClock())
        return Workers(Intercom(folder), holder, "mine", metrics)

    return begin


def test_what_others_say_stands_beside_ones_own_in_order(make: Callable[..., Workers], folder: Path) -> None:
    heard: list[str] = []

    async def main() -> None:
        for pid in OTHERS:

            async def answer(question: str, pid: int = pid) -> dict[str, Any]:
                heard.append(question)
                return ReloadedWorker(pid=pid, model_version=3, outcome="swapped").model_dump()

            await another(folder, pid, answer)
        workers = make(folder)
        told = await workers.info()
        assert [(one.pid, one.model_version) for one in told] == [(MINE - 1, 3), (MINE, None), (MINE + 1, 3)]
        mine, everywhere = await workers.reload()
        assert mine == ReloadedWorker(pid=MINE, instance_id="mine", model_version=1, outcome="swapped")
        assert [(one.pid, one.outcome) for one in everywhere] == [
            (pid, "swapped") for pid in (MINE - 1, MINE, MINE + 1)
        ]
        await workers.exposition()

    asyncio.run(main())
    assert heard == ["info", "info", "reload", "reload", "publish", "publish"]


def test_one_that_says_nothing_in_time_is_told_so(
    make: Callable[..., Workers], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.1)

    async def silence(question: str) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def main() -> None:
        await another(folder, MINE + 1, silence)
        assert (await make(folder).info())[1] == Worker(pid=MINE + 1, answered=False)

    asyncio.run(main())


async def joined(workers: Workers, folder: Path) -> None:
    await workers.join()
    (folder / f"{MINE}.sock").rename(folder / f"{OTHERS[0]}.sock")


async def asked(folder: Path, question: str) -> dict[str, Any]:
    (reply,) = await Intercom(folder).ask(question, PATIENT_S)
    assert reply.content is not None
    return reply.content


def test_who_is_asked_looks_insists_and_says_what_came_of_it(
    make: Callable[..., Workers], folder: Path, registry: FakeRegistry
) -> None:
    sound = (registry.bundle_of(1) / MODEL).read_bytes()
    (registry.bundle_of(1) / MODEL).write_bytes(b"broken")

    async def main() -> None:
        workers = make(folder)
        await joined(workers, folder)
        for _ in range(2):
            refused = await asked(folder, "reload")
            assert (refused["outcome"], refused["model_version"]) == ("failed", None)
        assert MODEL in (await asked(folder, "info"))["last_error"]
        (registry.bundle_of(1) / MODEL).write_bytes(sound)
        assert (await asked(folder, "reload"))["outcome"] == "swapped"
        assert await asked(folder, "info") == Worker(pid=MINE, instance_id="mine", model_version=1).model_dump()

    asyncio.run(main())


def test_figures_are_brought_up_to_date_by_whoever_is_asked(
    make: Callable[..., Workers], folder: Path, metrics: Metrics
) -> None:
    value = 1
    metrics.gauge("asked", "A figure", lambda: value, "livesum")

    async def main() -> None:
        nonlocal value
        workers = make(folder)
        assert b"\nasked 1.0\n" in await workers.exposition()
        await joined(workers, folder)
        value = 2
        await asked(folder, "publish")
        assert b"\nasked 2.0\n" in metrics.text()

    asyncio.run(main())


def test_only_where_there_are_others_requests_wait_for_the_first_look(
    make: Callable[..., Workers], folder: Path
) -> None:
    async def main() -> None:
        await make(None).first_look()
        workers = make(folder)
        waiting = asyncio.create_task(workers.first_look())
        await workers.join()
        await workers.info()
        assert not waiting.done()
        workers.looked.set()
        await waiting
        workers.leave()
        assert list(folder.iterdir()) == []

    asyncio.run(main())
