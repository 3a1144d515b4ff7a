"""Two at a time: checks beside each other, and a rollback beside a promotion. Each would decide by what the other is
about to change."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import Conflict
from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.loop.promote.promotion import promote_version, roll_back
from autoops.models.registry import CHAMPION
from autoops.months import Month
from autoops.settings import Settings
from tests.bundles import small_training_run
from tests.fakes import FakeRegistry
from tests.integration.one_process import context_in, drive

CHANGE = Month(2022, 4)


class Meeting:
    """Whoever comes waits a moment for another."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2, timeout=1)

    def wait(self) -> None:
        with suppress(threading.BrokenBarrierError):
            self._both.wait()


class MeetingRegistry(FakeRegistry):
    meeting: Meeting | None = None

    def set_alias(self, alias: str, number: int) -> None:
        if self.meeting is not None:
            self.meeting.wait()
        super().set_alias(alias, number)


def together(*actions: Callable[[], object]) -> list[object]:
    """What each returned or raised."""

    def done(action: Callable[[], object]) -> object:
        try:
            return action()
        except Conflict as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(done, actions))


def test_checks_beside_each_other_judge_once_and_open_one_incident(context: Context, world: Path) -> None:
    drive(context, world, CHANGE, slice(0, 1_000))
    drift_check.check(context)
    drive(context, world, CHANGE, slice(1_000, 2_000))
    found = together(*[lambda: drift_check.check(context)] * 2)
    assert sorted(one["verdict"] for one in found) == ["drift", "no new data"]  # type: ignore[index]
    assert [incident.kind for incident in context.ledger.incidents()] == ["drift", "manual"]


@pytest.fixture
def versions(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    """Version 2 has replaced version 1, and version 3 was compared with it."""
    registry = MeetingRegistry(tmp_path / "registry")
    context = replace(context_in(tmp_path, settings, engine), registry=registry)
    for number in (1, 2, 3):
        registry.register(small_training_run(tmp_path / f"run-{number}"))
    promote_version(context, 1, reason="first", actor="test")
    promote_version(context, 2, reason="second", actor="test")
    registry.meeting = Meeting()
    return context


def test_of_a_rollback_and_a_promotion_one_finds_the_champion_gone(versions: Context) -> None:
    found = together(
        lambda: roll_back(versions, reason="worse", actor="test", expected=2),
        lambda: promote_version(versions, 3, reason="better", actor="test", replaces=2),
    )
    assert sum(isinstance(one, Conflict) for one in found) == 1
    last = max(
        (entry for kind in ("promoted", "rolled back") for entry in versions.ledger.entries(kind=kind)),
        key=lambda entry: entry.id,
    )
    in_charge = last.evidence["restored"] if last.kind == "rolled back" else last.model_version
    assert versions.registry.by_alias(CHAMPION).number == in_charge
