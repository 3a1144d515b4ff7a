"""An incident told from its records, and what served when."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

from autoops.errors import NotFound
from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.loop.promote import tenures
from autoops.loop.promote.promotion import roll_back
from autoops.loop.reports.explain import explain
from autoops.loop.reports.report import page
from autoops.loop.retrain import retraining
from autoops.months import Month
from autoops.storage import tables
from autoops.usecases.taxi.trips import NEW_YORK
from tests.integration.one_process import drive, publish
from tests.taxi import CONTRACT

CHANGE, AFTER = Month(2022, 4), Month(2022, 5)


@pytest.fixture
def context(context: Context) -> Context:
    """Version 1 has been in charge for an hour."""
    context.clock.advance(hours=1)
    return context


@pytest.fixture
def healed(context: Context, world: Path, tmp_path: Path) -> int:
    """The incident that the change opened, closed by a promotion that proves right."""
    for start in (0, 1_000):
        drive(context, world, CHANGE, slice(start, start + 1_000))
        found = drift_check.check(context)
        context.clock.advance(minutes=10)
    publish(world, tmp_path, str(CHANGE))
    incident_id = int(drift_check.check(context)["actionable"][0])
    assert incident_id == found["incident_id"]
    plan = retraining.begin(context, "second", incident_id=incident_id)
    version = retraining.candidate(context, plan)
    context.clock.advance(minutes=2)
    outcome = retraining.promote(context, plan, version, retraining.gate(context, plan, version))
    assert outcome["promoted"]
    context.clock.advance(seconds=4)
    context.instances.beat("a", version, context.clock.now(), context.clock.now())
    retraining.confirm(context, plan, version, timeout_s=0)
    retraining.close(context, plan, outcome)
    drive(context, world, AFTER, slice(0, 1_000))
    drift_check.check(context)
    return incident_id


def test_an_incident_reads_from_what_was_noticed_to_what_came_of_it(context: Context, healed: int) -> None:
    found = explain(context, healed)
    told = page(found, CONTRACT)
    headings = [
        "What was noticed",
        "What moved",
        "Where the error grew",
        "What was done",
        "The gate",
        "What served",
        "Since then",
        "Outcome",
        "Links",
    ]
    places = [told.index(f"\n{heading}\n") for heading in headings]
    assert places == sorted(places)
    assert told.startswith(f"Incident {healed}: version 1 is wrong more than it used to be")
    assert "2 of 2 windows of trips between 1 April 2022 and" in told
    assert "times as far as ordinary windows go" in told
    assert "minutes too short on average" in told
    assert "better than the champion beyond chance" in told
    assert "promoted version 2" in told
    assert "the promotion proved right" in told
    assert "http://127.0.0.1:5000/#/models/nyc_taxi_trip_duration/versions/2" in told
    assert orjson.loads(orjson.dumps(found, default=str))["versions"] == [2]


def test_links_lead_to_where_people_reach_mlflow(context: Context, healed: int) -> None:
    alerts = context.settings.alerts.model_copy(update={"mlflow_url": "https://mlflow.example.com"})
    moved = replace(context, settings=context.settings.model_copy(update={"alerts": alerts}))
    told = page(explain(moved, healed), CONTRACT)
    assert "https://mlflow.example.com/#/models/nyc_taxi_trip_duration/versions/2" in told
    assert "127.0.0.1:5000" not in told


def test_it_reads_the_same_after_months_of_further_checks(context: Context, engine: sa.Engine, healed: int) -> None:
    told = page(explain(context, healed), CONTRACT)
    assert "windows of trips between" in told
    (last,) = context.checks.latest(1, judged=True)
    later = vars(last) | {"event_from": AFTER.ends_in(NEW_YORK), "event_until": AFTER.ends_in(NEW_YORK)}
    del later["id"]
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.checks), [later] * 1_000)
    assert page(explain(context, healed), CONTRACT) == told


def test_the_root_cause_is_kept_when_the_incident_is_opened(context: Context, healed: int) -> None:
    cause = explain(context, healed)["cause"]
    error = cause["error"]
    assert error["absolute"] > 1.2 * error["absolute_before"]
    assert error["signed"] < -1, "slower streets make every prediction too short"
    groups = {group["name"]: group["absolute"] - group["absolute_before"] for group in error["groups"]}
    assert groups["5 miles and more"] > groups["under 2 miles"] > 0


def test_an_incident_without_ground_truth_and_versions_says_so(context: Context) -> None:
    incident_id = context.ledger.open_incident("drift", "odd", actor="test", model_version=1)
    told = page(explain(context, incident_id), CONTRACT)
    assert "nothing has been trained for it" in told
    assert "None yet: nothing was trained, and no run has begun; autoops retrain --incident 2 takes it up" in told
    with pytest.raises(NotFound, match="incident 99"):
        explain(context, 99)


def test_every_incident_by_hand_has_its_page(context: Context) -> None:
    told = page(explain(context, 1), CONTRACT)
    assert told.startswith("Incident 1: a retraining by hand (first model)")
    assert "better than the median baseline" in told
    assert "The median of the training trips is off by" in told


def test_what_was_forced_in_and_rolled_back_says_both(context: Context) -> None:
    plan = retraining.begin(context, "mistake", months="2022-01..2022-03", force=True, reason="I insist")
    version = retraining.candidate(context, plan)
    outcome = retraining.promote(context, plan, version, retraining.gate(context, plan, version))
    retraining.close(context, plan, outcome)
    context.clock.advance(minutes=5)
    roll_back(context, reason="worse at night", actor="cli:ann")
    told = page(explain(context, plan["incident_id"]), CONTRACT)
    assert "on 2022-01, 2022-02, 2022-03, to be promoted whatever the gate says" in told
    summary = next(line for line in told.splitlines() if line.startswith("Somebody asked to retrain on 2022-01, 2022"))
    assert "to have the result promoted whatever the gate says; it was done, and version 2 took over 20" in summary
    assert "; it was rolled back 20" in summary
    assert "Version 2 promoted by force, where the gate said inconclusive.\nIt was rolled back 20" in told
    assert "for what the gate said" not in told


def test_what_served_when_and_why_has_an_answer(context: Context, healed: int) -> None:
    first, second = tenures.tenures_of(context)
    assert (first.version, second.version, second.incident_id) == (1, 2, healed)
    assert first.until == second.began_at
    assert second.served_at == second.began_at + timedelta(seconds=4)
    context.clock.advance(hours=1)
    roll_back(context, reason="worse at night", actor="cli:ann")
    back = tenures.tenures_of(context)[-1]
    assert (back.version, back.restored, back.until) == (1, True, None)

    def answer(moment: object) -> str:
        return "\n".join(tenures.sentences(moment, tenures.tenure_at(context, moment)))

    assert "no version had been promoted" in answer(first.began_at - timedelta(seconds=1))
    assert "version 1 was champion" in answer(second.began_at - timedelta(seconds=1))
    at_once = answer(second.began_at)
    assert f"for incident {healed}: better than the champion beyond chance" in at_once
    assert "after the moment you ask about" in at_once
    assert "cli:ann put it back in charge when its successor was rolled back: worse at night" in answer(back.began_at)
    assert "and still is" in answer(back.began_at)
