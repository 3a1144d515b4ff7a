"""What is said to the database at the very end: it may fail, and nobody waits for it for ever."""

import subprocess
import sys
import threading
import time

from autoops.errors import StorageUnavailable
from autoops.serving.shutdown import DRAIN_S, LAST_ACTION_S, SEND_ON_S, deregister, stops_within_s
from autoops.settings import Settings

PATIENT_S = 60


def test_what_is_said_at_the_end_is_done_before_it_ends() -> None:
    done: list[bool] = []

    def takes_a_while() -> None:
        time.sleep(0.05)
        done.append(True)

    deregister(takes_a_while, PATIENT_S)
    assert done == [True]


def test_a_database_that_is_away_at_the_end_is_nothing_to_speak_of() -> None:
    def refused() -> None:
        raise StorageUnavailable("gone")

    deregister(refused, PATIENT_S)


def test_a_database_that_does_not_answer_at_the_end_is_left() -> None:
    answers = threading.Event()

    def waits() -> None:
        answers.wait(PATIENT_S)

    deregister(waits, 0.01)
    answers.set()


def test_a_stop_takes_no_longer_than_its_parts_together(settings: Settings) -> None:
    storage_s, request_s = settings.storage.timeout_s, settings.serving.timeout_s
    a_look_and_a_heartbeat = 2 * LAST_ACTION_S
    parts_s = request_s + DRAIN_S + storage_s + a_look_and_a_heartbeat + SEND_ON_S + storage_s
    assert parts_s < stops_within_s(settings) <= parts_s + 10


HANGS = """
import asyncio, sys, threading
from autoops.serving.shutdown import ends_in_time

async def app(scope, receive, send):
    await receive()
    threading.Thread(target=threading.Event().wait, name="never answers").start()

async def receive():
    return {"type": "lifespan.shutdown"}

asyncio.run(ends_in_time(app, 0.1)({"type": "lifespan"}, receive, None))
"""


def test_a_process_ends_although_a_thread_of_it_hangs() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 70
    assert "ended by force 0.1 s after it was told to stop; still running: MainThread, never answers" in ended.stderr
