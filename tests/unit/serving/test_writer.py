import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from autoops.errors import FeatureError, ServiceUnavailable, StorageUnavailable
from autoops.serving.log.writer import Writer


class Database:
    """Doubles numbers; keeps each transaction, waits while `gate` is closed, refuses what it is told to."""

    def __init__(self) -> None:
        self.transactions: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.down = False
        self.poison: int | None = None
        self.poisoned: Exception = ValueError("poison")
        self.asked = 0

    def store(self, numbers: list[int]) -> list[int]:
        self.asked += 1
        self.entered.set()
        assert self.gate.wait(10)
        if self.down:
            raise StorageUnavailable("locked")
        if self.poison in numbers:
            raise self.poisoned
        self.transactions.append(numbers)
        return [2 * number for number in numbers]

    def store_others(self, numbers: list[int]) -> list[int]:
        return self.store(numbers)


Body = Callable[[Writer], Awaitable[None]]


PATIENT_S = 10


def run(body: Body, limit: int = 100, patience_s: float = PATIENT_S) -> None:
    async def main() -> None:
        writer = Writer(limit, patience_s)
        writer.start()
        try:
            await asyncio.wait_for(body(writer), 10)
        finally:
            await writer.stop()

    asyncio.run(main())


async def occupy(writer: Writer, database: Database) -> "asyncio.Task[Sequence[int]]":
    """Lets the writer's thread stand in a transaction, so that what is asked for next comes together."""
    database.gate.clear()
    task = asyncio.create_task(writer.do(database.store, [0]))
    while not database.entered.is_set():
        await asyncio.sleep(0.001)
    return task


def test_what_waits_together_is_one_transaction_and_each_gets_its_own_results() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        waiting = [asyncio.create_task(writer.do(database.store, [i, i + 100])) for i in range(1, 6)]
        await asyncio.sleep(0)
        assert writer.queued == 11
        database.gate.set()
        assert await first == [0]
        assert [await task for task in waiting] == [[2 * i, 2 * i + 200] for i in range(1, 6)]
        assert writer.queued == 0

    run(body)
    assert database.transactions == [[0], [1, 101, 2, 102, 3, 103, 4, 104, 5, 105]]


def test_different_actions_do_not_mix() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        tasks = [asyncio.create_task(writer.do(action, [1])) for action in (database.store, database.store_others)]
        await asyncio.sleep(0)
        database.gate.set()
        await asyncio.gather(first, *tasks)

    run(body)
    assert database.transactions == [[0], [1], [1]]


def test_an_action_that_is_done_alone_has_its_own_result() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        alone = [asyncio.create_task(writer.run_exclusively(lambda: {3: database.store([3])}, 2)) for _ in range(2)]
        await asyncio.sleep(0)
        assert writer.queued == 5
        database.gate.set()
        await first
        assert [await task for task in alone] == [{3: [6]}] * 2

    run(body)
    assert database.transactions == [[0], [3], [3]]


def test_an_unavailable_database_is_told_to_everybody_who_waits_and_the_writer_goes_on() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        waiting = [asyncio.create_task(writer.do(database.store, [i])) for i in range(3)]
        await asyncio.sleep(0)
        database.down = True
        database.gate.set()
        for task in (first, *waiting):
            with pytest.raises(StorageUnavailable, match="locked"):
                await task
        assert database.asked == 2, "not once more for each"
        database.down = False
        assert await writer.do(database.store, [21]) == [42]
        assert writer.queued == 0

    run(body)


@pytest.mark.parametrize("poisoned", [ValueError("poison"), FeatureError("derived.speed: inf for 1 of 3 rows")])
def test_a_request_that_breaks_its_group_breaks_only_itself(poisoned: Exception) -> None:
    database = Database()
    database.poisoned = poisoned

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        waiting = [asyncio.create_task(writer.do(database.store, [i])) for i in (1, 13, 2)]
        await asyncio.sleep(0)
        database.poison = 13
        database.gate.set()
        await first
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert (results[0], results[2]) == ([2], [4])
        assert results[1] is poisoned

    run(body)


def test_nobody_waits_for_ever_and_what_had_not_begun_is_not_done_later() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        begun = await occupy(writer, database)
        waiting = asyncio.create_task(writer.do(database.store, [1]))
        alone = asyncio.create_task(writer.run_exclusively(lambda: database.store([2]), 1))
        with pytest.raises(ServiceUnavailable, match="may be stored or not"):
            await begun
        for task in (waiting, alone):
            with pytest.raises(ServiceUnavailable, match="is not stored"):
                await task
        assert writer.queued == 3
        database.gate.set()
        await writer.stop()
        assert writer.queued == 0

    run(body, patience_s=0.1)
    assert database.transactions == [[0]]


def test_a_transaction_has_its_bounds_however_many_wait() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        waiting = [asyncio.create_task(writer.do(database.store, [i] * 250)) for i in range(50)]
        await asyncio.sleep(0)
        database.gate.set()
        assert await first == [0]
        assert [await task for task in waiting] == [[2 * i] * 250 for i in range(50)]

    run(body, limit=20_000)
    assert [len(transaction) for transaction in database.transactions] == [1, 10_000, 2_500]


def test_too_much_waiting_is_refused_at_once() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        waiting = asyncio.create_task(writer.do(database.store, [1, 2, 3]))
        await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable, match="too many"):
            await writer.do(database.store, [4, 5])
        database.gate.set()
        await asyncio.gather(first, waiting)
        assert await writer.do(database.store, list(range(9))) == [2 * i for i in range(9)]

    run(body, limit=5)


def test_a_request_that_went_away_is_stored_all_the_same() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        gone, other = (asyncio.create_task(writer.do(database.store, [i])) for i in (7, 8))
        await asyncio.sleep(0)
        gone.cancel()
        database.gate.set()
        await first
        assert await other == [16]
        assert await writer.do(database.store, [1]) == [2]
        assert writer.queued == 0

    run(body)
    assert 7 in [number for transaction in database.transactions for number in transaction]


def test_stopping_stores_what_waits_and_takes_no_more() -> None:
    database = Database()

    async def main() -> None:
        writer = Writer(100, PATIENT_S)
        writer.start()
        first = await occupy(writer, database)
        waiting = [asyncio.create_task(writer.do(database.store, [i])) for i in range(1, 4)]
        await asyncio.sleep(0)
        stopping = asyncio.create_task(writer.stop())
        await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable, match="shutting down"):
            await writer.do(database.store, [9])
        database.gate.set()
        await stopping
        await asyncio.gather(first, *waiting)

    asyncio.run(main())
    assert database.transactions == [[0], [1, 2, 3]]


def test_large_requests_take_turns_with_small_ones_and_none_is_put_off_for_ever() -> None:
    database = Database()

    async def body(writer: Writer) -> None:
        first = await occupy(writer, database)
        large = [asyncio.create_task(writer.do(database.store, [i] * 300)) for i in (1, 2)]
        small = [asyncio.create_task(writer.do(database.store, [i])) for i in (3, 4)]
        await asyncio.sleep(0)
        database.gate.set()
        await asyncio.gather(first, *large, *small)

    run(body, limit=1000)
    assert database.transactions == [[0], [3, 4], [1] * 300, [2] * 300]


def test_stopping_stores_large_requests_too() -> None:
    database = Database()

    async def main() -> None:
        writer = Writer(10_000, PATIENT_S)
        writer.start()
        first = await occupy(writer, database)
        waiting = [asyncio.create_task(writer.do(database.store, [i] * 300)) for i in range(1, 4)]
        await asyncio.sleep(0)
        stopping = asyncio.create_task(writer.stop())
        await asyncio.sleep(0)
        database.gate.set()
        await stopping
        await asyncio.gather(first, *waiting)

    asyncio.run(main())
    assert [len(transaction) for transaction in database.transactions] == [1, 300, 300, 300]


def test_what_comes_while_a_large_request_is_stored_goes_before_the_next_large_one() -> None:
    class Slow(Database):
        """Asks for one row more from within the first large transaction."""

        def store(self, numbers: list[int]) -> list[int]:
            if len(numbers) > 1 and not self.transactions[1:]:
                asyncio.run_coroutine_threadsafe(ask_for_one(), loop).result(10)
            return super().store(numbers)

    database = Slow()
    asked: list[asyncio.Task[Sequence[int]]] = []

    async def ask_for_one() -> None:
        asked.append(asyncio.create_task(writer_of_test.do(database.store, [7])))
        await asyncio.sleep(0)

    async def body(writer: Writer) -> None:
        nonlocal loop, writer_of_test
        loop, writer_of_test = asyncio.get_running_loop(), writer
        first = await occupy(writer, database)
        large = [asyncio.create_task(writer.do(database.store, [i] * 300)) for i in (1, 2)]
        await asyncio.sleep(0)
        database.gate.set()
        await asyncio.gather(first, *large)
        assert await asked[0] == [14]

    loop: asyncio.AbstractEventLoop
    writer_of_test: Writer
    run(body, limit=1000)
    assert database.transactions == [[0], [1] * 300, [7], [2] * 300]
