import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pydantic import BaseModel

from autoops.models import bundle
from autoops.models.scoring import Scorer, ScoringThreads
from autoops.serving.payloads.batch import of_columns
from autoops.serving.payloads.validation_errors import InvalidRows
from autoops.serving.predict.batches import Batches
from autoops.usecase.columns import columns_of
from tests.bundles import FEATURES, small_training_run, synthetic_trips
from tests.taxi import MODELS, TripColumns, feature_matrix


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    run = small_training_run(tmp_path_factory.mktemp("bundle"))
    return Scorer(run.bundle, bundle.verify(run.bundle, run.tags["bundle_digest"]))


@pytest.mark.parametrize("threads", [1, 3, 4])
@pytest.mark.parametrize("rows", [1, 255, 256, 257, 1000, 5000])
def test_on_many_cores_the_answer_is_the_same_to_the_bit(scorer: Scorer, threads: int, rows: int) -> None:
    matrix = feature_matrix(columns_of(synthetic_trips(rows=rows, seed=5)), FEATURES)
    cores = ScoringThreads(threads)
    assert np.array_equal(cores.predict(scorer, matrix), scorer.predict(matrix))
    cores.stop()


@pytest.mark.parametrize(("threads", "nicer_by"), [(1, 0), (2, 5)])
def test_several_threads_of_batches_give_way_and_no_others(threads: int, nicer_by: int) -> None:
    class Asked:
        """Tells from inside a core's thread how it is treated."""

        def predict(self, matrix: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            return np.array([os.getpriority(os.PRIO_PROCESS, threading.get_native_id())])

    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    cores = ScoringThreads(threads)
    assert cores.predict(Asked(), np.zeros((1, 1), dtype=np.float32))[0] == min(mine + nicer_by, 19)  # type: ignore[arg-type]
    cores.stop()
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


def test_the_event_loop_goes_on_while_a_batch_is_in_work() -> None:
    async def body() -> bool:
        batches, go_on = Batches(1), threading.Event()
        working = asyncio.create_task(batches.run(go_on.wait, 10))
        await asyncio.sleep(0)
        go_on.set()
        done = await working
        batches.stop()
        return done

    assert asyncio.run(body())


def test_a_batch_is_read_while_many_are_scored(scorer: Scorer) -> None:
    matrix = np.zeros((3, len(FEATURES)), dtype=np.float32)

    class Slow:
        def predict(self, rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            assert go_on.wait(10)
            return scorer.predict(rows)

    async def body() -> list[bool]:
        batches = Batches(1)
        scored = [asyncio.create_task(batches.score(Slow(), matrix)) for _ in range(5)]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(batches.run(lambda: "read"), 10) == "read"
        go_on.set()
        answers = await asyncio.gather(*scored)
        batches.stop()
        return [np.array_equal(answer, scorer.predict(matrix)) for answer in answers]

    go_on = threading.Event()
    assert asyncio.run(body()) == [True] * 5


def columns(**changes: object) -> BaseModel:
    made = {"trip_distance": [1.0, 2.0], "pickup_location_id": [1, 2], "dropoff_location_id": [3, 4]}
    return TripColumns.model_validate(made | changes)


def test_columns_have_one_length() -> None:
    for name, values in (("passenger_count", [1]), ("pickup_location_id", [1, 2, 3]), ("pickup_at", [])):
        with pytest.raises(InvalidRows) as caught:
            of_columns(MODELS, columns(**{name: values}))
        assert [problem.field for problem in caught.value.listed] == [f"columns.{name}"]


def test_a_moment_that_is_none_is_named_by_its_row() -> None:
    with pytest.raises(InvalidRows) as caught:
        of_columns(MODELS, columns(pickup_at=[None, "yesterday"]))
    assert [problem.field for problem in caught.value.listed] == ["columns.pickup_at.1"]


def test_many_threads_may_share_the_cores(scorer: Scorer) -> None:
    matrix = feature_matrix(columns_of(synthetic_trips(rows=600, seed=5)), FEATURES)
    cores = ScoringThreads(2)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cores.predict(scorer, matrix), range(24)))
    cores.stop()
    assert all(np.array_equal(answer, scorer.predict(matrix)) for answer in answers)


def test_a_batch_is_cut_up_for_threads_without_work_and_for_no_others(scorer: Scorer) -> None:
    matrix, go_on = np.zeros((1000, len(FEATURES)), dtype=np.float32), threading.Event()
    begun, over = threading.Semaphore(0), threading.Semaphore(0)

    class Slow:
        def predict(self, rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            begun.release()
            assert go_on.wait(10)
            return scorer.predict(rows)

    cores = ScoringThreads(2)
    first = cores.submit(Slow(), matrix)  # type: ignore[arg-type]
    assert all(begun.acquire(timeout=120) for _ in first)
    second = cores.submit(Slow(), matrix)  # type: ignore[arg-type]
    for part in (*first, *second):
        part.add_done_callback(lambda _: over.release())
    go_on.set()
    assert [[len(part.result()) for part in parts] for parts in (first, second)] == [[500, 500], [1000]]
    assert all(over.acquire(timeout=120) for _ in range(3))
    third = cores.submit(scorer, matrix)
    assert [len(part.result()) for part in third] == [500, 500]
    cores.stop()
