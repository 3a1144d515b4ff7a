"""Hands on the wheel: freeze, approval, the budget, and what would be decided, in one process."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import Conflict, NotFound
from autoops.loop.context import Context
from autoops.loop.incidents import freeze
from autoops.loop.monitor import drift_check
from autoops.loop.monitor.preview import preview, sentences
from autoops.loop.promote.promotion import COMPARED
from autoops.loop.retrain import retraining
from autoops.loop.retrain.approval import approve, close_by_hand
from autoops.models.registry import CHAMPION, champion_of
from autoops.months import Month, parse_months
from autoops.storage import tables
from autoops.usecases.taxi.sample import write_sample
from autoops.usecases.taxi.trips import NEW_YORK
from tests.fakes import FakeRegistry
from tests.integration.one_process import drive, publish, retrain, setting

CHANGE = Month(2022, 4)


@pytest.fixture
def alarmed(context: Context, world: Path, tmp_path: Path) -> Callable[[], dict[str, object]]:
    """Drives the windows of the change through the champion; the last check is made when it is called."""

    def check() -> dict[str, object]:
        drive(context, world, CHANGE, slice(0, 1_000))
        drift_check.check(context)
        drive(context, world, CHANGE, slice(1_000, 2_000))
        publish(world, tmp_path, str(CHANGE))
        return drift_check.check(context)

    return check


def kinds(context: Context, incident_id: int) -> list[str]:
    return [entry.kind for entry in context.ledger.entries(incident_id=incident_id)]


def rows(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for name, table in tables.metadata.tables.items()
        }


def test_while_frozen_checks_go_on_and_nothing_is_retrained(
    context: Context, alarmed: Callable[[], dict[str, object]]
) -> None:
    freeze.freeze(context, reason="election day", actor="cli:ann")
    found = alarmed()
    assert (found["decision"], found["actionable"]) == ("open incident", [])
    incident_id = found["incident_id"]
    drift_check.check(context)
    (said,) = context.ledger.entries(incident_id=incident_id, kind="policy: frozen")
    assert said.reason.startswith("frozen by cli:ann: election day")
    with pytest.raises(Conflict, match="frozen by cli:ann: election day"):
        retraining.begin(context, "asset-run", incident_id=incident_id)

    assert "no longer frozen" in freeze.unfreeze(context, reason="over", actor="cli:ann")
    assert freeze.unfreeze(context, reason="over", actor="cli:ann") == "was not frozen"
    assert drift_check.check(context)["actionable"] == [incident_id]


def test_a_person_may_retrain_while_frozen(context: Context, alarmed: Callable[[], dict[str, object]]) -> None:
    incident_id = alarmed()["incident_id"]
    freeze.freeze(context, reason="election day", actor="cli:ann")
    assert retrain(context, "by-hand", incident_id=incident_id, by_hand=True)["promoted"]


def test_a_run_that_a_freeze_overtakes_stops_before_the_promotion(
    context: Context, alarmed: Callable[[], dict[str, object]]
) -> None:
    incident_id = alarmed()["incident_id"]
    plan = retraining.begin(context, "asset-run", incident_id=incident_id)
    freeze.freeze(context, reason="election day", actor="cli:ann")
    assert retraining.begin(context, "asset-run", incident_id=incident_id) == plan
    version = retraining.candidate(context, plan)
    outcome = retraining.promote(context, plan, version, retraining.gate(context, plan, version))
    assert not outcome["promoted"]
    assert "frozen by cli:ann" in outcome["reason"]
    assert context.ledger.incident(incident_id).status == "waiting_for_approval"


def test_a_freeze_holds_a_rollback_up_and_no_longer(context: Context, world: Path, tmp_path: Path) -> None:
    publish(world, tmp_path, str(CHANGE))
    steady = tmp_path / "steady"
    write_sample(steady, parse_months("2022-05"), trips_per_month=6_000)
    retrain(context, "mistake", months=str(CHANGE), force=True)
    freeze.freeze(context, reason="election day", actor="cli:ann")
    drive(context, steady, Month(2022, 5), slice(0, 1_000))
    assert drift_check.check(context)["decision"] != "roll back"
    (compared,) = context.ledger.entries(kind=COMPARED)
    assert compared.reason.startswith("frozen by cli:ann: election day; otherwise it would be rolled back")
    assert champion_of(context.registry).number == 2

    freeze.unfreeze(context, reason="over", actor="cli:ann")
    drive(context, steady, Month(2022, 5), slice(1_000, 2_000))
    assert drift_check.check(context)["decision"] == "roll back"


def test_with_approval_a_better_version_waits_for_a_person(
    context: Context, alarmed: Callable[[], dict[str, object]]
) -> None:
    careful = setting(context, "training", approval=True)
    incident_id = alarmed()["incident_id"]
    outcome = retrain(careful, "asset-run", incident_id=incident_id)
    assert not outcome["promoted"]
    assert careful.ledger.incident(incident_id).status == "waiting_for_approval"
    assert champion_of(careful.registry).number == 1
    assert drift_check.check(careful)["actionable"] == []

    done = approve(careful, incident_id, reason="looks right", actor="cli:ann")
    assert approve(careful, incident_id, reason="looks right", actor="cli:ann") == done
    assert careful.ledger.incident(incident_id).status == "open", "also where nobody can confirm that it is served"
    retraining.close(careful, done["plan"], done["promotion"])
    assert champion_of(careful.registry).number == 2
    (promoted,) = careful.ledger.entries(incident_id=incident_id, kind="promoted")
    assert promoted.actor == "cli:ann"
    assert promoted.reason.startswith("approved: looks right; promote: better than the champion")
    assert kinds(careful, incident_id)[-4:] == ["approved", "promoted", "incident open", "incident closed"]
    with pytest.raises(Conflict, match="closed: nothing waits"):
        approve(careful, incident_id, reason="once more", actor="cli:ann")


def test_what_was_compared_with_another_champion_is_not_approved(
    context: Context, alarmed: Callable[[], dict[str, object]]
) -> None:
    careful = setting(context, "training", approval=True)
    incident_id = alarmed()["incident_id"]
    retrain(careful, "asset-run", incident_id=incident_id)
    retrain(careful, "quicker", months=str(CHANGE), force=True)
    with pytest.raises(Conflict, match="champion is version 3 by now"):
        approve(careful, incident_id, reason="looks right", actor="cli:ann")
    assert "by hand: overtaken" in close_by_hand(careful, incident_id, reason="overtaken", actor="cli:ann")
    with pytest.raises(Conflict, match="is closed"):
        close_by_hand(careful, incident_id, reason="again", actor="cli:ann")


def test_what_a_person_closes_while_it_is_retrained_is_not_promoted(
    context: Context, alarmed: Callable[[], dict[str, object]]
) -> None:
    incident_id = alarmed()["incident_id"]
    plan = retraining.begin(context, "asset-run", incident_id=incident_id)
    version = retraining.candidate(context, plan)
    verdict = retraining.gate(context, plan, version)
    assert verdict["decision"] == "promote"
    close_by_hand(context, incident_id, reason="a parade", actor="cli:ann")
    outcome = retraining.promote(context, plan, version, verdict)
    assert outcome["reason"] == f"incident {incident_id} was closed meanwhile: closed by hand: a parade"
    assert champion_of(context.registry).number == 1


def test_an_incident_of_a_version_that_is_replaced_is_void_and_covers_nothing(
    context: Context, world: Path, tmp_path: Path
) -> None:
    for start in (0, 1_000):
        drive(context, world, CHANGE, slice(start, start + 1_000))
        first = drift_check.check(context)
    assert context.ledger.incident(first["incident_id"]).status == "waiting_for_data"
    retrain(context, "by-hand", months="2022-02..2022-03", force=True)
    taken_up = context.ledger.open_incident("drift", "its run failed", actor="test", model_version=1)
    context.ledger.claim(taken_up, retraining.ACTION, "a run that failed")

    drift_check.check(context)
    assert context.ledger.incident(first["incident_id"]).outcome == "void: version 1 is champion no more"
    for start in (2_000, 3_000):
        drive(context, world, Month(2022, 5), slice(start, start + 1_000))
        found = drift_check.check(context)
    assert (found["decision"], found["model_version"]) == ("open incident", 2)


def test_a_retraining_that_failed_answered_nothing_and_a_person_takes_it_up(
    context: Context, alarmed: Callable[[], dict[str, object]], world: Path
) -> None:
    incident_id = alarmed()["incident_id"]
    plan = retraining.begin(context, "asset-run", incident_id=incident_id)
    with pytest.raises(Conflict, match="claimed by asset-run"):
        retraining.begin(context, "cli", incident_id=incident_id, by_hand=True)
    with pytest.raises(KeyboardInterrupt), retraining.failures_recorded(context, plan):
        raise KeyboardInterrupt
    (failed,) = context.ledger.entries(incident_id=incident_id, kind="retraining failed")
    assert failed.reason.startswith("run asset-run failed at KeyboardInterrupt; the incident stays open")
    assert f"autoops retrain --incident {incident_id} takes it up" in failed.reason
    with pytest.raises(Conflict, match="claimed by asset-run"):
        retraining.begin(context, "another-asset-run", incident_id=incident_id)

    again = retraining.begin(context, "cli", incident_id=incident_id, by_hand=True)
    assert again["evidence_start"] == plan["evidence_start"]
    with pytest.raises(Conflict, match="claimed by cli"):
        retraining.begin(context, "asset-run", incident_id=incident_id)
    close_by_hand(context, incident_id, reason="no machine for it", actor="cli:ann")
    drive(context, world, CHANGE, slice(2_000, 3_000))
    assert drift_check.check(context)["decision"] == "open incident"


def test_there_is_nothing_to_approve_before_a_gate(context: Context) -> None:
    incident_id = context.ledger.open_incident("drift", "odd", actor="test")
    with pytest.raises(NotFound, match="no version that a gate has judged"):
        approve(context, incident_id, reason="sure", actor="cli:ann")


def test_a_first_version_needs_no_approval(context: Context, tmp_path: Path) -> None:
    empty = replace(setting(context, "training", approval=True), registry=FakeRegistry(tmp_path / "empty"))
    assert retrain(empty, "new")["promoted"]


def test_beyond_the_budget_somebody_is_paged_and_the_incident_stands(
    context: Context, world: Path, tmp_path: Path
) -> None:
    publish(world, tmp_path, str(CHANGE))
    earlier, later = (
        context.ledger.open_incident(
            "drift", "planted", actor="test", evidence_end=CHANGE.starts_in(NEW_YORK) + timedelta(days=days)
        )
        for days in (3, 4)
    )
    plan = retraining.begin(context, "earlier", incident_id=earlier)
    retraining.close(context, plan, {"promoted": False, "version": 1, "reason": "inconclusive"})
    thrifty = setting(context, "training", most_per_week=1)
    drive(thrifty, world, CHANGE, slice(0, 1_000))
    for _ in range(2):
        assert drift_check.check(thrifty)["actionable"] == []
    (page,) = thrifty.ledger.entries(incident_id=later, kind="page")
    assert "1 retraining within a week, training.most_per_week is 1" in page.reason
    assert thrifty.ledger.incident(later).status == "open"

    drive(thrifty, world, CHANGE, slice(1_000, 4_000))
    assert drift_check.check(thrifty)["actionable"] == [later], "by then the week is over"


def test_what_would_be_done_is_said_and_nothing_is_written(
    context: Context, world: Path, engine: sa.Engine, tmp_path: Path
) -> None:
    drive(context, world, CHANGE, slice(0, 1_000))
    drift_check.check(context)
    drive(context, world, CHANGE, slice(1_000, 2_000))
    before, logged = rows(engine), len(context.registry.checks)
    found = preview(context)
    assert (found["verdict"], found["decision"], found["incidents"]) == ("drift", "open incident", [])
    assert "2 of the last 2 windows alarmed for" in found["because"]
    assert rows(engine) == before
    assert len(context.registry.checks) == logged
    assert context.registry.by_alias(CHAMPION).number == 1

    done = drift_check.check(context)
    assert (done["decision"], done["because"]) == (found["decision"], found["because"])
    after = preview(context)
    assert (after["decision"], after["incidents"][0]["action"]) == ("nothing", "wait for data")
    publish(world, tmp_path, str(CHANGE))
    assert preview(context)["incidents"][0]["action"] == "retrain"
    freeze.freeze(context, reason="election day", actor="cli:ann")
    lines = sentences(preview(context))
    assert lines[0] == "frozen by cli:ann: election day"
    assert lines[-2].startswith(f"incident {done['incident_id']}: frozen: frozen by cli:ann")
    assert lines[-1].startswith("scheduled: incident stands: a scheduled retraining is due")


def test_before_months_are_judged_it_says_that_they_would_be_scored(
    context: Context, world: Path, engine: sa.Engine, tmp_path: Path
) -> None:
    months = setting(context, "drift", source="months")
    assert "every month that is published" in preview(months)["because"]
    publish(world, tmp_path, str(CHANGE))
    before = rows(engine)
    found = preview(months)
    assert found["decision"] == "not enough data"
    assert "has not been judged on 2022-04: a check would score that first" in found["because"]
    assert rows(engine) == before
    drift_check.check(months)
    assert "every month that is published" in preview(months)["because"]
