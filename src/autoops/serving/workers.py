"""The processes of one server: what each of them serves, and one look at the registry by all."""

import asyncio
import os
import threading
from typing import Any, TypeVar

from autoops.serving.holder import Holder
from autoops.serving.intercom import Intercom
from autoops.serving.metrics import Metrics
from autoops.serving.status import ReloadedWorker, Worker

Testimony = TypeVar("Testimony", bound=Worker)

ANSWER_S = 2.0
"""How long a worker may take to say what it serves."""

RELOAD_S = 30.0
"""How long the others may take to look at the registry and to load what they find; one that needs longer goes on."""

FIRST_LOOK_S = 30.0
"""How long a worker may take for its first look at the registry before it takes requests all the same."""


class Workers:
    """As one of them sees them; a server of one process has none but itself. Whoever looks at the registry sets
    `looked`."""

    def __init__(self, intercom: Intercom, holder: Holder, instance_id: str, metrics: Metrics) -> None:
        self._intercom = intercom
        self._holder = holder
        self._instance_id = instance_id
        self._metrics = metrics
        self.looked = threading.Event()

    async def join(self) -> None:
        """From now on the others know of this one. Before its first look, so that no reload passes it by."""
        await self._intercom.open(self._answer)

    async def first_look(self) -> None:
        """Until then the others have the requests, of which this one could answer none; one that is alone says so."""
        if not self._intercom.alone:
            await asyncio.to_thread(self.looked.wait, FIRST_LOOK_S)

    def leave(self) -> None:
        self._intercom.close()
        self._metrics.leave()

    async def info(self) -> list[Worker]:
        others = await self._ask("info", ANSWER_S, Worker)
        return _in_order([self._mine(), *others])

    async def reload(self) -> tuple[ReloadedWorker, list[ReloadedWorker]]:
        """What came of it here, and everywhere. A version that failed before is tried again."""
        others = asyncio.create_task(self._ask("reload", RELOAD_S, ReloadedWorker))
        mine = await self._reload()
        return mine, _in_order([mine, *await others])

    async def exposition(self) -> bytes:
        """What Prometheus gets, whichever it asks: every worker brings its gauges up to date first."""
        self._metrics.publish()
        await self._intercom.ask("publish", ANSWER_S)
        return self._metrics.text()

    async def _answer(self, question: str) -> dict[str, Any]:
        if question == "reload":
            return (await self._reload()).model_dump()
        if question == "publish":
            self._metrics.publish()
        return self._mine().model_dump()

    async def _ask(self, question: str, within_s: float, kind: type[Testimony]) -> list[Testimony]:
        return [
            kind(pid=reply.pid, answered=False) if reply.content is None else kind(**reply.content)
            for reply in await self._intercom.ask(question, within_s)
        ]

    def _mine(self) -> Worker:
        loaded, failure = self._holder.current, self._holder.failure
        return Worker(
            pid=os.getpid(),
            instance_id=self._instance_id,
            model_version=loaded.version.number if loaded else None,
            last_error=failure.reason if failure else None,
        )

    async def _reload(self) -> ReloadedWorker:
        outcome = await asyncio.to_thread(self._holder.refresh, insist=True)
        return ReloadedWorker(**self._mine().model_dump(), outcome=outcome)


def _in_order(workers: list[Testimony]) -> list[Testimony]:
    return sorted(workers, key=lambda worker: worker.pid)
