"""Coalescing: slow work that many tasks request at once is done once for all of them."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar, cast

Result = TypeVar("Result")


class Coalesced(Generic[Result]):
    """Runs `action` in a thread. Calls that come during a run share the next run, which sees what is new by then.

    Belongs to the event loop. The thread is a daemon, so that neither the loop nor the process waits for it at its end.
    """

    def __init__(self, action: Callable[[], Result]) -> None:
        self._action = action
        self._running: asyncio.Task[Result] | None = None
        self._next: asyncio.Task[Result] | None = None

    async def __call__(self) -> Result:
        """Return the result of a run that begins after this call; cancelling the caller does not cancel the run."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._running))
        return await asyncio.shield(self._next)

    async def _run(self, before: "asyncio.Task[Result] | None") -> Result:
        if before is not None:
            # Unlike `await before`, it does not raise what that run raised.
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        return await in_daemon(self._action)


async def in_daemon(action: Callable[[], Result]) -> Result:
    """Run `action` in a daemon thread; the process would wait at its end for a thread of `asyncio.to_thread`."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast("Result", result))

    def run() -> None:
        result, failed = None, None
        try:
            result = action()
        except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
            failed = error
        with suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name=getattr(action, "__name__", "action"), daemon=True).start()
    return await done
