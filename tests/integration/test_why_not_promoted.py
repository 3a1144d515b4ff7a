"""`autoops explain` says of every version, and of every incident without one, why nothing was promoted."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from autoops.alerts.watch import fail_overdue
from autoops.errors import BrokenData, Conflict, NotFound
from autoops.loop.context import Context
from autoops.loop.data import validation
from autoops.loop.incidents import freeze
from autoops.loop.monitor import actions
from autoops.loop.promote.promotion import promote_version, roll_back
from autoops.loop.reports.explain import explain
from autoops.loop.reports.not_promoted import of_incident, of_version, version_if_known
from autoops.loop.reports.report import page
from autoops.loop.retrain import approval, retraining, steps
from autoops.loop.retrain.plan import Plan
from autoops.models.registry import TrainingRun
from autoops.months import Month
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import publish, setting
from tests.taxi import CONTRACT


def begun(context: Context, run_id: str = "run", **how: object) -> Plan:
    return retraining.begin(context, run_id, months="2022-01..2022-03", **how)


def like_first(context: Context) -> TrainingRun:
    return replace(context.registry.runs[1], bundle=context.registry.bundle_of(1))


def registered(context: Context, plan: Plan) -> int:
    """Return a version that is as version 1, as if the run had trained it."""
    version = context.registry.register(like_first(context))
    steps.record(context, plan, version, "all")
    return version.number


def judged(context: Context, plan: Plan, decision: str, reason: str = "as it is", **more: object) -> int:
    """Return such a version with the gate's verdict on it."""
    number = registered(context, plan)
    verdict = {"decision": decision, "reason": reason, "champion": 1, "challenger": number, "months": plan["months"]}
    verdict |= {"days_needed": None, "look": 1, "rows": 700, "days": 7, "difference": -0.1, **more}
    verdict |= {"champion_mae": 3.1, "challenger_mae": 3.0}
    verdict = {"settled_by": "more days" if verdict["days_needed"] else None} | verdict
    ids = {"incident_id": plan["incident_id"], "model_version": number}
    context.ledger.record("gate", f"{decision}: {reason}", actor="test", evidence=verdict, **ids)
    return number


def ended(context: Context, plan: Plan, number: int) -> None:
    """Promote where the gate says so, and close."""
    verdict = retraining.gate(context, plan, number)
    retraining.close(context, plan, retraining.promote(context, plan, number, verdict))


def told(context: Context, number: int, state: str) -> str:
    answer = of_version(context, number)
    assert answer["state"] == state
    assert (answer["told"] in page(explain(context, answer["incident"]), CONTRACT)) == (state not in IN_THE_GATE)
    return answer["told"]


IN_THE_GATE = ("rejected", "declined", "closed", "promoted", "rolled back", "superseded")
IN_THE_GATE += ("inconclusive, waits", "inconclusive, given up")
"""Their page says it in other places: the gate's section and the outcome."""


@pytest.mark.parametrize(
    "reason",
    [
        "worse than the champion beyond chance: 0.2 min [0.1, 0.3]",
        "worse in the segment night beyond the margin",
        "model file of 80.0 MB, serving.max_model_mb is 50",
        "one row takes 9.00 ms, gate.max_latency_ms is 2",
    ],
)
def test_the_gate_rejected_it_and_why(context: Context, reason: str) -> None:
    plan = begun(context)
    number = judged(context, plan, "reject", reason)
    ended(context, plan, number)
    assert told(context, number, "rejected") == f"the gate rejected version {number}: {reason}"


def test_the_gate_could_not_tell_and_waits_gave_up_or_has_a_newer_one(context: Context) -> None:
    plan = begun(context)
    number = judged(context, plan, "inconclusive", days_needed=20)
    ended(context, plan, number)
    assert told(context, number, "inconclusive, waits").endswith("20 more days are published than the gate had then")
    assert "20 more days are published" in page(explain(context, plan["incident_id"]), CONTRACT)

    second = begun(context, "second")
    newer = judged(context, second, "inconclusive")
    ended(context, second, newer)
    assert "no realistic number of days" in told(context, newer, "inconclusive, given up")
    assert f"version {newer}, which is newer than version {number}" in told(context, number, "superseded")
    context.registry.delete_version(newer)
    assert "deleted" in told(context, newer, "inconclusive, given up")


def test_it_waits_for_approval_or_a_person_declined_it(context: Context) -> None:
    careful = setting(context, "training", approval=True)
    plan = begun(careful)
    number = judged(careful, plan, "promote")
    ended(careful, plan, number)
    assert "training.approval is on" in told(careful, number, "waits for approval")
    approval.close_by_hand(careful, plan["incident_id"], reason="not before a holiday", actor="cli:ann")
    assert told(careful, number, "declined").endswith("closed by cli:ann: closed by hand: not before a holiday")


def test_a_freeze_holds_up_the_promotion_or_the_run(context: Context, world: Path, tmp_path: Path) -> None:
    publish(world, tmp_path, "2022-04")
    waits, stands = (context.ledger.open_incident("drift", "odd", actor="test", model_version=1) for _ in "ab")
    plan = retraining.begin(context, "run", incident_id=waits)
    freeze.freeze(context, reason="election day", actor="cli:ann")
    number = judged(context, plan, "promote")
    ended(context, plan, number)
    assert "election day" in told(context, number, "waits for approval")
    actions.actionable(context)
    answer = of_incident(context, context.ledger.incident(stands))
    assert (answer["state"], answer["version"]) == ("held up", None)
    assert "frozen by cli:ann: election day" in answer["told"]
    freeze.unfreeze(context, reason="over", actor="cli:ann")
    actions.actionable(setting(context, "training", most_per_week=0))
    assert "training.most_per_week is 0" in of_incident(context, context.ledger.incident(stands))["told"]


def test_the_race_for_the_alias_was_lost(context: Context) -> None:
    plan = begun(context)
    number = judged(context, plan, "promote")
    other = context.registry.register(like_first(context)).number
    promote_version(context, other, reason="by hand", actor="cli:bob")
    with pytest.raises(Conflict), retraining.failures_recorded(context, plan):
        ended(context, plan, number)
    assert f"but champion is version {other} by now" in told(context, number, "failed")
    assert of_version(context, other)["told"].startswith(f"version {other} is champion since")


@pytest.mark.parametrize(
    "error", [ValueError("too few rows"), BrokenData("2022-03 is quarantined: nulls"), OSError(28)]
)
def test_a_step_of_the_run_failed(context: Context, error: Exception) -> None:
    plan = begun(context)
    with pytest.raises(type(error)), retraining.failures_recorded(context, plan):
        raise error
    answer = of_incident(context, context.ledger.incident(plan["incident_id"]))
    assert answer["state"] == "failed"
    assert "nothing was trained; run run failed at" in answer["told"]
    assert str(error) in answer["told"]
    assert answer["told"] in page(explain(context, plan["incident_id"]), CONTRACT)


def test_the_run_was_killed(context: Context) -> None:
    plan = begun(context)
    assert of_incident(context, context.ledger.incident(plan["incident_id"]))["state"] == "unfinished"
    number = registered(context, plan)
    assert "it is at work, or was killed; after 12 hours it counts as failed" in told(context, number, "unfinished")
    context.clock.advance(seconds=timedelta(days=2).total_seconds())
    fail_overdue(context)
    assert "its deadline" in told(context, number, "failed")


def test_an_incident_waits_for_a_month_that_is_broken(context: Context, tmp_path: Path) -> None:
    april = Month(2022, 4)
    write_sample(tmp_path / "published", [april], trips_per_month=6_000, scenario="unit", magnitude=60.0)
    validation.usable(context, [april], "test")
    end = april.ends_in(CONTRACT.zone) - timedelta(days=1)
    number = context.ledger.open_incident("drift", "odd", actor="test", model_version=1, evidence_end=end)
    actions.actionable(context)
    answer = of_incident(context, context.ledger.incident(number))
    assert answer["state"] == "waits for data"
    assert "the newest month that may be used is 2022-03; 2022-04" in answer["told"]


def test_an_incident_that_nobody_took_up(context: Context) -> None:
    number = context.ledger.open_incident("drift", "odd", actor="test", model_version=1)
    assert of_incident(context, context.ledger.incident(number))["state"] == "not begun"
    context.ledger.record("retraining asked for", "odd", actor="test", incident_id=number)
    assert "is Airflow running?" in of_incident(context, context.ledger.incident(number))["told"]


def test_a_version_that_was_only_trained_rolled_back_or_never_there(context: Context) -> None:
    plan = begun(context)
    number = registered(context, plan)
    only = {"promoted": False, "version": number, "reason": "registered as challenger, not gated"}
    retraining.close(context, plan, only)
    assert "registered as challenger, not gated" in told(context, number, "closed")
    promote_version(context, number, reason="by hand", actor="cli:bob", incident_id=plan["incident_id"])
    assert of_version(context, 1)["told"].endswith("another one has replaced it since: " + first_reason(context))
    assert of_incident(context, context.ledger.incident(plan["incident_id"]))["state"] == "promoted"
    roll_back(context, reason="worse at night", actor="cli:ann")
    assert of_version(context, number)["told"].endswith("UTC: worse at night")
    assert version_if_known(context, 99) is None
    with pytest.raises(NotFound):
        of_version(context, 99)
    foreign = context.registry.register(like_first(context)).number
    assert of_version(context, foreign)["state"] == "not begun"


def first_reason(context: Context) -> str:
    return context.ledger.entries(kind="promoted", model_version=1)[0].reason
