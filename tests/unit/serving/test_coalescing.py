"""What many ask for at once is done once, and nobody waits for it at the end."""

import asyncio
import contextlib
import threading

import pytest

from autoops.serving.model.coalescing import Coalesced


def test_who_asks_while_it_runs_shares_the_run_after_it() -> None:
    runs: list[int] = []
    began, goes_on = threading.Event(), threading.Event()

    def action() -> int:
        runs.append(len(runs) + 1)
        number = runs[-1]
        began.set()
        assert goes_on.wait(30)
        return number

    async def main() -> list[int]:
        shared = Coalesced(action)
        first = asyncio.create_task(shared())
        await asyncio.to_thread(began.wait, 30)
        later = [asyncio.create_task(shared()) for _ in range(12)]
        await asyncio.sleep(0)
        goes_on.set()
        return [await first, *await asyncio.gather(*later)]

    assert asyncio.run(main()) == [1] + [2] * 12
    assert runs == [1, 2]


def test_one_that_no_longer_waits_takes_the_answer_from_nobody() -> None:
    goes_on = threading.Event()

    async def main() -> bool:
        shared = Coalesced(lambda: goes_on.wait(30))
        gone, staying = asyncio.create_task(shared()), asyncio.create_task(shared())
        await asyncio.sleep(0.01)
        gone.cancel()
        goes_on.set()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        return await staying

    assert asyncio.run(main())


def test_an_error_reaches_all_who_asked() -> None:
    def action() -> None:
        raise ValueError("no")

    async def main() -> list[object]:
        shared = Coalesced(action)
        return await asyncio.gather(shared(), shared(), return_exceptions=True)

    assert [str(error) for error in asyncio.run(main())] == ["no", "no"]


def test_the_end_of_the_loop_does_not_wait_for_what_hangs() -> None:
    goes_on = threading.Event()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Coalesced(lambda: goes_on.wait(60))(), 0.01)

    running = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    running.start()
    running.join(10)
    try:
        assert not running.is_alive()
    finally:
        goes_on.set()
