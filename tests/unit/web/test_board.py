"""What waits for a person, and the word in the headline."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.models.registry import CHAMPION
from autoops.settings import Settings
from autoops.web.board import PAGED, board_of
from tests.bundles import register_small
from tests.fakes import FakeRegistry
from tests.integration.one_process import context_in


@pytest.fixture
def context(tmp_path: Path, settings: Settings, engine: sa.Engine) -> Context:
    """Version 1 was promoted and is served."""
    built = context_in(tmp_path, settings, engine)
    assert isinstance(built.registry, FakeRegistry)
    register_small(built.registry, tmp_path / "first", minutes_per_mile=4)
    built.registry.set_alias(CHAMPION, 1)
    built.ledger.record("promoted", "first", actor="test", model_version=1)
    built.instances.beat("a", 1, built.clock.now(), built.clock.now() + timedelta(days=30))
    return built


def waiting(context: Context) -> dict[str, list[str]]:
    return {one.title: [action.verb for action in one.actions] for one in board_of(context).waiting}


def test_a_failed_retraining_waits_until_another_begins(context: Context) -> None:
    number = context.ledger.open_incident("drift", "odd", actor="test", model_version=1)
    begun = {"months": ["2022-03"], "run_id": "one"}
    context.ledger.record("retraining begun", "odd", actor="test", incident_id=number, evidence=begun)
    assert list(waiting(context)) == [f"Incident {number} is open: the loop goes on by itself"]
    context.ledger.record("retraining failed", "no disk", actor="test", incident_id=number)
    assert waiting(context) == {f"The retraining for incident {number} failed": ["close"]}
    context.ledger.record("retraining begun", "odd", actor="test", incident_id=number, evidence=begun)
    assert list(waiting(context)) == [f"Incident {number} is open: the loop goes on by itself"]


def test_a_month_waits_for_its_release_until_it_is_released_or_corrected(context: Context) -> None:
    for month in ("2022-01", "2022-02", "2022-03"):
        for kind in ("ingested", "quarantined"):
            context.ledger.record(kind, f"{month}: odd", actor="test", evidence={"month": month, "content": "a"})
    unread = {"month": "2022-04", "content": "a", "ingested": False}
    context.ledger.record("quarantined", "2022-04: no file", actor="test", evidence=unread)
    context.ledger.record("released", "2022-01: true", actor="test", evidence={"month": "2022-01", "content": "a"})
    context.ledger.record("ingested", "2022-02: anew", actor="test", evidence={"month": "2022-02", "content": "b"})
    assert waiting(context) == {"2022-03 is quarantined": ["release"]}


def test_a_call_for_a_person_is_shown_for_a_day(context: Context) -> None:
    context.ledger.record("page", "the alias is gone", actor="test")
    assert waiting(context) == {"A person was called": []}
    context.clock.advance(seconds=PAGED.total_seconds())  # type: ignore[attr-defined]
    assert waiting(context) == {}


def test_the_headline_follows_what_the_watchdog_sees(context: Context) -> None:
    assert board_of(context).state[0] == "HEALTHY"
    context.clock.advance(days=1)  # type: ignore[attr-defined]
    state = board_of(context).state
    assert (state.word, state.serving, state.instances) == ("WATCH", 1, 1)
    assert "no check since the first promotion" in state.sentence
    context.ledger.open_incident("drift", "odd", actor="test", model_version=1)
    context.ledger.open_incident("drift", "odder", actor="test", model_version=1)
    assert board_of(context).state.word == "INCIDENT #2"
    chosen = board_of(context, incident_id=1)
    assert (chosen.state.word, chosen.incident and chosen.incident.id) == ("INCIDENT #2", 1)
    context.ledger.record("frozen", "holiday", actor="ops")
    assert board_of(context).state.word == "FROZEN"


def test_no_rollback_is_offered_to_a_version_that_was_rolled_back(context: Context, tmp_path: Path) -> None:
    assert isinstance(context.registry, FakeRegistry)
    register_small(context.registry, tmp_path / "second", minutes_per_mile=6)
    context.registry.set_alias("previous", 2)
    assert "roll-back" in [action.verb for action in board_of(context).actions]
    context.registry.tag(2, {"rolled_back": "worse"})
    assert "roll-back" not in [action.verb for action in board_of(context).actions]
