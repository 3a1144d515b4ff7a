import threading
import time

import pytest

from autoops.errors import StorageUnavailable
from autoops.serving.periodic import Periodic


class Counter:
    def __init__(self, failure: Exception | None = None) -> None:
        self.calls = 0
        self.called = threading.Semaphore(0)
        self._failure = failure

    def __call__(self) -> None:
        self.calls += 1
        self.called.release()
        if self._failure is not None:
            raise self._failure

    def wait(self, times: int) -> None:
        for _ in range(times):
            assert self.called.acquire(timeout=120)


def test_it_acts_at_once_and_then_at_its_interval() -> None:
    action = Counter()
    periodic = Periodic("test", 0.01, action)
    periodic.start()
    action.wait(3)
    periodic.stop()
    calls = action.calls
    time.sleep(0.05)
    assert action.calls == calls


def test_it_can_be_woken() -> None:
    action = Counter()
    periodic = Periodic("test", 3600, action)
    periodic.start()
    action.wait(1)
    periodic.wake()
    action.wait(1)
    periodic.stop()
    assert action.calls == 2


def test_a_failure_does_not_end_it() -> None:
    action = Counter(RuntimeError("once more"))
    periodic = Periodic("test", 0.01, action)
    periodic.start()
    action.wait(3)
    periodic.stop()


def test_an_outage_is_one_line_and_a_defect_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    for failure in (StorageUnavailable("database: gone"), RuntimeError("a defect")):
        action = Counter(failure)
        periodic = Periodic("test", 3600, action)
        periodic.start()
        action.wait(1)
        periodic.stop()
    outage, defect = caplog.records
    assert (outage.getMessage(), outage.exc_info) == ("test failed, and will be tried again: database: gone", None)
    assert defect.exc_info


def test_stopping_does_not_wait_for_ever() -> None:
    release = threading.Event()
    periodic = Periodic("test", 0.01, lambda: release.wait(10))
    periodic.start()
    began = time.monotonic()
    periodic.stop(timeout_s=0.05)
    assert time.monotonic() - began < 5
    release.set()
