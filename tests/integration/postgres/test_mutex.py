"""What one process does at a time, on both databases."""

import logging
import signal
import socket
import threading
import time

import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.errors import Conflict
from autoops.loop.records.ledger import Ledger
from tests.eventually import eventually
from tests.integration.postgres.conftest import Start

HOLD = """
from autoops.storage import database
from autoops.clock import SystemClock
from autoops.loop.records.ledger import Ledger
from autoops.settings import load_settings
with Ledger(database.connect(load_settings()), SystemClock()).advisory_lock("check"):
    print("held", flush=True)
    input()
"""


def test_who_comes_later_waits_and_is_let_in_when_the_first_is_killed(
    each_engine: sa.Engine, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ledger, said = Ledger(each_engine, SystemClock()), []
    first = start("-c", HOLD)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"

    def second() -> None:
        with ledger.advisory_lock("check"):
            said.append("let in")

    waiting = threading.Thread(target=second)
    waiting.start()
    eventually(lambda: "another process is at the check" in caplog.text)
    with ledger.advisory_lock("something-else"):
        said.append("not held up")
    said.append("killed")
    first.kill()
    waiting.join(timeout=120)
    assert said == ["not held up", "killed", "let in"]
    first.communicate()


def test_a_server_that_ends_idle_transactions_leaves_the_lock_to_its_holder(engine: sa.Engine) -> None:
    """A check computes for minutes while the transaction that holds the lock does nothing."""
    impatient = sa.create_engine(engine.url, connect_args={"options": "-c idle_in_transaction_session_timeout=300"})
    with Ledger(impatient, SystemClock()).advisory_lock("check"):
        time.sleep(1)
        with pytest.raises(Conflict), Ledger(engine, SystemClock(), 0.1).advisory_lock("check"):
            pass
    impatient.dispose()


def test_nobody_waits_without_limit_for_a_suspended_process_and_is_told_which_it_is(
    each_engine: sa.Engine, start: Start
) -> None:
    first = start("-c", HOLD)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    first.send_signal(signal.SIGSTOP)
    try:
        with (
            pytest.raises(Conflict) as refused,
            Ledger(each_engine, SystemClock(), lock_timeout_s=0.3).advisory_lock("check"),
        ):
            pytest.fail("the lock is held")
    finally:
        first.send_signal(signal.SIGCONT)
        first.kill()
        first.communicate()
    for part in ("'check'", "0.3 s", str(first.pid), socket.gethostname()[:20], " since 20", "storage.lock_timeout_s"):
        assert part in str(refused.value)
