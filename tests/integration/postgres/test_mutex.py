"""What one process does at a time, on both databases."""

import logging
import threading

import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.loop.ledger import Ledger
from tests.eventually import eventually
from tests.integration.postgres.conftest import Start

HOLD = """
from autoops import database
from autoops.clock import SystemClock
from autoops.loop.ledger import Ledger
from autoops.settings import load_settings
with Ledger(database.connect(load_settings()), SystemClock()).alone("check"):
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
        with ledger.alone("check"):
            said.append("let in")

    waiting = threading.Thread(target=second)
    waiting.start()
    eventually(lambda: "another process is at the check" in caplog.text)
    with ledger.alone("something-else"):
        said.append("not held up")
    said.append("killed")
    first.kill()
    waiting.join(timeout=30)
    assert said == ["not held up", "killed", "let in"]
    first.communicate()
