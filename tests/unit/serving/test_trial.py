"""A model is tried in a process of its own, which ends whatever the model does."""

import math
import threading
from pathlib import Path

import numpy as np
import pytest

from autoops.models.bundle import MODEL
from autoops.serving.model.trial import Bounds, Cancellation, Cancelled, Crashed, Hung, _judge, in_process
from tests.bundles import FEATURES, make_endless, small_training_run
from tests.eventually import eventually

ROWS = np.zeros((3, len(FEATURES)), dtype=np.float32)
PATIENT = Bounds(timeout_s=60, memory_bytes=math.inf, nicer_by=0)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_training_run(tmp_path_factory.mktemp("sound")).bundle / MODEL


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = small_training_run(tmp_path_factory.mktemp("endless"))
    make_endless(run.bundle)
    return run.bundle / MODEL


def children() -> set[str]:
    """Process ids, whichever thread started them."""
    return {pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()}


def test_a_model_that_answers_passes(sound: Path) -> None:
    in_process(sound, ROWS, PATIENT, Cancellation())


def test_an_error_of_the_model_is_left_to_whoever_loads_it_next(sound: Path) -> None:
    in_process(sound.with_name("none.onnx"), ROWS, PATIENT, Cancellation())


def test_a_model_that_never_answers_is_ended(endless: Path) -> None:
    before = children()
    with pytest.raises(Hung):
        in_process(endless, ROWS, Bounds(2, math.inf, 0), Cancellation())
    assert children() == before


def test_a_model_that_wants_more_memory_than_there_is_does_not_get_it(sound: Path) -> None:
    with pytest.raises(MemoryError):
        in_process(sound, np.zeros((500_000, len(FEATURES)), dtype=np.float32), Bounds(60, 100_000, 0), Cancellation())


def test_a_trial_that_nobody_wants_any_more_ends_at_once(endless: Path) -> None:
    before, cancellation, raised = children(), Cancellation(), []

    def run() -> None:
        try:
            in_process(endless, ROWS, PATIENT, cancellation)
        except Cancelled as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: children() != before or not thread.is_alive())
    cancellation.cancel()
    thread.join(30)
    assert len(raised) == 1
    assert children() == before
    with pytest.raises(Cancelled):
        in_process(endless, ROWS, PATIENT, cancellation)


@pytest.mark.parametrize(
    ("exit_code", "error"), [(-9, MemoryError), (4, MemoryError), (-14, Hung), (-11, Crashed), (1, RuntimeError)]
)
def test_how_the_process_ended_says_what_is_wrong(exit_code: int, error: type[Exception]) -> None:
    _judge(0, b"")
    with pytest.raises(error):
        _judge(exit_code, b"Traceback")
