"""Cool-downs and the budget run in traffic time: labels that come late stretch and shorten neither."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.drift.verdict import DetectorName, DetectorResult, DriftVerdict
from autoops.loop.context import Context
from autoops.loop.data.traffic_time import KEY, traffic_at
from autoops.loop.decide import policy
from autoops.loop.incidents.recent_actions import recent_actions, rolled_back_at
from autoops.loop.incidents.response import decision_on
from autoops.models.registry import ModelVersion
from autoops.settings import Settings
from tests.integration.one_process import context_in

BEGAN = datetime(2022, 5, 1, tzinfo=UTC)
CHAMPION = ModelVersion(1, "run")
DAY = timedelta(days=1)
LATE = pytest.mark.parametrize("late_days", [0, 60])


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    return context_in(tmp_path, settings, engine)


def alarm(day: int, detector: DetectorName, finding: str, late_days: int = 0) -> DriftVerdict:
    """Of trips of one day, which for loss are as old as labels are late."""
    begin = BEGAN + (day - late_days) * DAY
    result = DetectorResult(detector, True, 1.0, 0.5, 1_000, "", (finding,), begin, begin + DAY)
    return DriftVerdict("drift", True, "", 1_000, 1_000, (), (result,), begin, begin + DAY)


def check(context: Context, day: int, verdict: DriftVerdict) -> policy.Decision:
    """Record a window of the day, at the end of which traffic stands, and decide."""
    context.clock.advance(seconds=60)
    context.checks.append(
        model_version=1,
        verdict=verdict.verdict,
        alarm=verdict.alarm,
        reason="",
        event_from=verdict.event_from,
        event_until=verdict.event_until,
        report=verdict.to_json() | {KEY: (BEGAN + (day + 1) * DAY).isoformat()},
    )
    return decision_on(context, CHAMPION, verdict)


@LATE
def test_the_cool_down_after_another_incident_is_as_long_as_it_says(context: Context, late_days: int) -> None:
    for day in (0, 1):
        decision = check(context, day, alarm(day, "data drift", "data drift"))
    assert decision.action == "open incident"
    span = {"evidence_start": decision.evidence_start, "evidence_end": decision.evidence_end}
    incident = context.ledger.open_incident("drift", "moved", actor="test", model_version=1, **span)
    context.ledger.close(incident, "void", actor="test")
    decisions = {
        day: check(context, day, alarm(day, "loss", "targets above predictions", late_days)) for day in range(2, 12)
    }
    assert decisions[3].action == "cool down"
    assert next(day for day, one in decisions.items() if one.action == "open incident") == 6, "it began with day 0"


@LATE
def test_a_rollback_holds_retrainings_up_for_the_cool_down(context: Context, late_days: int) -> None:
    check(context, 0, alarm(0, "loss", "larger errors", late_days))
    evidence = {"restored": 1, "event_until": (BEGAN + (1 - late_days) * DAY).isoformat()}
    context.ledger.record("rolled back", "worse", actor="test", model_version=2, evidence=evidence)
    assert rolled_back_at(context) == BEGAN + DAY
    held = {}
    for day in range(1, 9):
        check(context, day, alarm(day, "loss", "larger errors", late_days))
        held[day] = policy.next_action(True, None, recent_actions(context, context.ledger.incidents()), 7, 2).action
    assert [day for day, action in held.items() if action == "cool down"] == [1, 2, 3, 4, 5, 6]


@LATE
def test_retrainings_of_one_week_count_however_old_their_evidence_is(context: Context, late_days: int) -> None:
    for day in (0, 1):
        check(context, day, alarm(day, "loss", "larger errors", late_days))
        until = BEGAN + (day + 1 - late_days) * DAY
        incident = context.ledger.open_incident("drift", "slow", actor="test", model_version=1, evidence_end=until)
        for _ in range(2):
            context.ledger.record(
                "retraining begun", "slow", actor="test", incident_id=incident, evidence={"automatic": True}
            )
    found = recent_actions(context, context.ledger.incidents())
    assert sorted(found.retrained_at) == [BEGAN + DAY, BEGAN + 2 * DAY]
    assert policy.next_action(True, None, found, 7, 2).action == "page"


def test_a_check_without_its_traffic_time_is_of_an_older_release(context: Context) -> None:
    assert traffic_at(context, context.clock.now()) is None
    until = BEGAN + 3 * DAY
    context.checks.append(
        model_version=1, verdict="drift", alarm=True, reason="", event_from=BEGAN, event_until=until, report={}
    )
    assert traffic_at(context, context.clock.now()) == until
