"""What publications alone bring about: a re-evaluation of a challenger that waits, and a refresh of an old champion."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import Conflict, NotPublished, SourceUnavailable
from autoops.ingestion.source import DirectorySource
from autoops.loop.context import Context
from autoops.loop.incidents import freeze
from autoops.loop.monitor import actions, drift_check
from autoops.loop.monitor.preview import preview, sentences
from autoops.loop.records.ledger import Incident
from autoops.loop.reports.explain import explain
from autoops.loop.reports.overview import overview
from autoops.loop.reports.overview import sentences as lines_of
from autoops.loop.reports.report import page
from autoops.loop.retrain import retraining, scheduled
from autoops.loop.retrain.approval import approve
from autoops.models.registry import champion_of
from autoops.months import Month
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import prepared, publish, retrain, setting, with_champion
from tests.taxi import CONTRACT

CHANGE = Month(2022, 4)


@pytest.fixture
def undecided(engine: sa.Engine, world: Path, tmp_path: Path) -> Context:
    """Version 2 knows April, and the week held out is too little for a gate that wants 2,000 rows."""

    def build(directory: Path, engine: sa.Engine) -> Context:
        careful = setting(with_champion(directory, world, engine), "gate", min_rows=2_000)
        publish(world, directory, "2022-04")
        outcome = retrain(careful, "second", reason="by hand")
        assert not outcome["promoted"]
        assert str(outcome["reason"]).endswith("as full as these, and looked at again when they are published")
        return careful

    return prepared(("undecided", world), build, tmp_path, engine)


def of_kind(context: Context, kind: str) -> list[Incident]:
    return [incident for incident in context.ledger.incidents() if incident.kind == kind]


def test_the_days_that_the_gate_asked_for_bring_a_second_look(undecided: Context, world: Path, tmp_path: Path) -> None:
    thrifty = setting(undecided, "training", most_per_week=0)
    assert drift_check.check(thrifty)["actionable"] == []
    assert "0 have come in since" in preview(thrifty)["calendar"][0]["because"]

    publish(world, tmp_path, "2022-05")
    assert preview(thrifty)["calendar"][0]["action"] == "open incident"
    (incident_id,) = drift_check.check(thrifty)["actionable"]
    assert drift_check.check(thrifty)["actionable"] == []
    assert any(f"incident {incident_id}: re-evaluate" in line for line in sentences(preview(thrifty)))

    plan = retraining.begin(thrifty, "look", incident_id=incident_id)
    assert retraining.begin(thrifty, "look", incident_id=incident_id) == plan
    assert (plan["challenger"], plan["look"], plan["months"]) == (2, 2, ["2022-04", "2022-05"])
    assert retraining.candidate(thrifty, plan) == 2
    verdict = retraining.gate(thrifty, plan, 2)
    assert retraining.gate(thrifty, plan, 2) == verdict
    retraining.close(thrifty, plan, retraining.promote(thrifty, plan, 2, verdict))

    assert champion_of(thrifty.registry).number == 2
    assert len(thrifty.registry.versions()) == 2
    assert verdict["days"] == 38
    assert "97.5% interval" in verdict["reason"]
    assert thrifty.registry.verdicts[2, "gate"]["decision"] == "inconclusive"
    assert thrifty.registry.verdicts[2, "gate-look-2"]["decision"] == "promote"
    assert [entry.incident_id for entry in thrifty.ledger.entries(kind="retraining begun")] == [1, 2]
    opened = thrifty.ledger.entries(incident_id=incident_id)[0]
    assert (opened.evidence["closed_incident"], opened.evidence["challenger"]) == (2, 2)
    assert thrifty.ledger.incident(incident_id).status == "closed"
    assert drift_check.check(thrifty)["actionable"] == []
    told = page(explain(thrifty, incident_id), CONTRACT)
    assert told.startswith(f"Incident {incident_id}: a re-evaluation of version 2\n")
    assert "In incident 2 the gate could not tell version 2 from version 1, and asked for" in told
    assert "it was compared again, and version 2 took over" in told
    assert "airflow took the challenger that waited to the gate again: on 2022-04, 2022-05" in told


def test_many_checks_at_a_time_open_one(undecided: Context, world: Path, tmp_path: Path) -> None:
    publish(world, tmp_path, "2022-05..2022-09")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: actions.open_due(undecided), range(16)))
    (incident,) = of_kind(undecided, "re-evaluation")
    undecided.ledger.close(incident.id, "done", actor="test")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: actions.open_due(undecided), range(16)))
    assert len(of_kind(undecided, "re-evaluation")) == 1, "one that was closed by hand does not come back"
    assert len(of_kind(undecided, "scheduled")) == 1


def test_a_second_look_ends_where_it_would_settle_nothing_any_more(
    undecided: Context, world: Path, tmp_path: Path
) -> None:
    publish(world, tmp_path, "2022-05")
    (incident_id,) = drift_check.check(undecided)["actionable"]
    retrain(undecided, "quicker", force=True)
    with pytest.raises(Conflict, match="champion is version 3 by now"):
        retraining.begin(undecided, "look", incident_id=incident_id)
    assert drift_check.check(undecided)["actionable"] == []
    outcome = undecided.ledger.incident(incident_id).outcome
    assert outcome == "void: version 2 was compared with version 1, and champion is version 3 by now"


def test_a_second_look_obeys_a_freeze_and_waits_for_approval(undecided: Context, world: Path, tmp_path: Path) -> None:
    careful = setting(undecided, "training", approval=True)
    publish(world, tmp_path, "2022-05")
    freeze.freeze(careful, reason="election day", actor="cli:ann")
    assert drift_check.check(careful)["actionable"] == []
    (incident,) = of_kind(careful, "re-evaluation")
    with pytest.raises(Conflict, match="election day"):
        retraining.begin(careful, "look", incident_id=incident.id)
    freeze.unfreeze(careful, reason="over", actor="cli:ann")
    assert drift_check.check(careful)["actionable"] == [incident.id]
    assert not retrain(careful, "look", incident_id=incident.id)["promoted"]
    assert careful.ledger.incident(incident.id).status == "waiting_for_approval"
    approve(careful, incident.id, reason="looks right", actor="cli:ann")
    assert champion_of(careful.registry).number == 2


def test_a_quarantined_month_brings_no_days(undecided: Context, world: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "published", [Month(2022, 5)], trips_per_month=6_000, scenario="unit", magnitude=60.0)
    (incident_id,) = drift_check.check(undecided)["actionable"]
    with pytest.raises(NotPublished, match="the re-evaluation waits for"):
        retraining.begin(undecided, "look", incident_id=incident_id)
    assert drift_check.check(undecided)["actionable"] == []
    assert undecided.ledger.incident(incident_id).status == "waiting_for_data"


def test_a_challenger_that_was_deleted_is_waited_for_no_longer(undecided: Context, world: Path, tmp_path: Path) -> None:
    undecided = setting(undecided, "training", retrain_after_months=0)
    undecided.registry.delete_version(2)
    publish(world, tmp_path, "2022-05")
    assert drift_check.check(undecided)["actionable"] == []
    assert "was deleted" in preview(undecided)["calendar"][0]["because"]


def test_after_the_last_look_nobody_comes_back(undecided: Context, world: Path, tmp_path: Path) -> None:
    undecided = setting(undecided, "training", retrain_after_months=0)
    first = undecided.ledger.entries(kind="gate", model_version=2)[-1]
    for look in (2, 3):
        undecided.ledger.record(
            "gate",
            "inconclusive",
            actor="test",
            incident_id=first.incident_id,
            model_version=2,
            evidence=dict(first.evidence) | {"look": look},
        )
    publish(world, tmp_path, "2022-05")
    assert drift_check.check(undecided)["actionable"] == []
    assert "has looked at version 2 3 times" in preview(undecided)["calendar"][0]["because"]
    plan = {"incident_id": 2, "force": False, "run_id": "x", "actor": "me", "automatic": True}
    outcome = retraining.promote(undecided, plan, 2, dict(first.evidence) | {"look": 3})
    assert outcome["reason"].endswith("but this was the last look")


def test_an_old_champion_is_compared_with_newer_months_once_a_while(
    context: Context, world: Path, tmp_path: Path
) -> None:
    assert drift_check.check(context)["actionable"] == []
    publish(world, tmp_path, "2022-04..2022-06")
    assert "scheduled: open incident" in sentences(preview(context))[-1]
    (incident_id,) = drift_check.check(context)["actionable"]
    incident = context.ledger.incident(incident_id)
    assert (incident.kind, incident.model_version) == ("scheduled", 1)
    assert incident.reason == "the champion was trained until 2022-03, and 2022-06 is at hand"

    plan = retraining.begin(context, "fresh", incident_id=incident_id)
    assert (plan["months"], plan["trigger"]) == (["2022-04", "2022-05", "2022-06"], "scheduled")
    version = retraining.candidate(context, plan)
    verdict = retraining.gate(context, plan, version)
    assert verdict["decision"] == "promote", "the world has changed since"
    refused = {"promoted": False, "version": version, "reason": "a person said no"}
    retraining.close(context, plan, refused)
    told = page(explain(context, incident_id), CONTRACT)
    assert "None of its checks alarmed" in told
    assert told.startswith(f"Incident {incident_id}: version 1 and the newest months, on schedule\n")
    assert "Version 1 was compared on schedule: the champion was trained until 2022-03, and 2022-06 is at hand." in told
    assert drift_check.check(context)["actionable"] == []
    assert "due with 2022-07" in preview(context)["calendar"][0]["because"], "the gate had found something"
    publish(world, tmp_path, "2022-07")
    (again,) = drift_check.check(context)["actionable"]
    assert retrain(context, "fresher", incident_id=again)["promoted"]
    assert "due with 2022-08" in preview(context)["calendar"][0]["because"]
    told = overview(context)["champion"]["next_scheduled"]
    assert told.startswith(
        "the next scheduled retraining is due with 2022-08, 1 month after 2022-07, because no scheduled retraining of "
        "this champion was in vain so far; the last 2 with a known cost took "
    )
    assert told.endswith(" min of absolute error for each")
    assert any(line.startswith("schedule   the next") for line in lines_of(overview(context)))
    worth = scheduled.worth_of_recent(context)
    assert (worth.retrainings, worth.cpu_seconds > 0.1, worth.per_cpu_second > 100) == (2, True, True)
    dear = setting(context, "training", budget=2 * worth.per_cpu_second)
    assert scheduled.next_due(dear, champion_of(dear.registry)).month == Month(2023, 1)


def test_a_comparison_that_found_nothing_doubles_the_wait(context: Context, world: Path, tmp_path: Path) -> None:
    publish(world, tmp_path, "2022-04")
    careful = setting(context, "gate", min_rows=100_000)
    (incident_id,) = drift_check.check(careful)["actionable"]
    assert not retrain(careful, "in vain", incident_id=incident_id)["promoted"]
    publish(world, tmp_path, "2022-05")
    assert drift_check.check(careful)["actionable"] == []
    due = scheduled.next_due(careful, champion_of(careful.registry))
    assert due.month == Month(2022, 6)
    assert due.reason == "2 months after 2022-04, because 1 scheduled retraining of this champion promoted nothing"
    context.ledger.close(context.ledger.open_incident("scheduled", "x", actor="t", model_version=1), "no", actor="ann")
    assert scheduled.next_due(careful, champion_of(careful.registry)).month == Month(2022, 6), "the gate said nothing"


def test_a_broken_month_refreshes_nothing_and_fails_no_retraining(
    context: Context, world: Path, tmp_path: Path
) -> None:
    publish(world, tmp_path, "2022-04..2022-05")
    write_sample(tmp_path / "published", [Month(2022, 6)], trips_per_month=6_000, scenario="unit", magnitude=60.0)
    assert drift_check.check(context)["actionable"] == []
    assert of_kind(context, "scheduled") == []
    (quarantined,) = context.ledger.entries(kind="quarantined")
    assert quarantined.evidence["month"] == "2022-06"
    (incident_id,) = drift_check.check(context)["actionable"]
    assert context.ledger.incident(incident_id).reason.endswith("2022-05 is at hand"), "the month before it is good"


def test_a_refresh_is_a_retraining_of_the_budget_and_void_without_its_champion(
    context: Context, world: Path, tmp_path: Path
) -> None:
    publish(world, tmp_path, "2022-04..2022-06")
    assert drift_check.check(setting(context, "training", retrain_after_months=0))["actionable"] == []
    assert drift_check.check(setting(context, "training", most_per_week=0))["actionable"] == []
    freeze.freeze(context, reason="election day", actor="cli:ann")
    assert drift_check.check(context)["actionable"] == []
    assert of_kind(context, "scheduled") == []
    freeze.unfreeze(context, reason="over", actor="cli:ann")
    (incident_id,) = drift_check.check(context)["actionable"]
    retraining.begin(context, "fresh", incident_id=incident_id)
    assert context.ledger.entries(incident_id=incident_id, kind="retraining begun")[0].evidence["automatic"]

    other = context.ledger.open_incident("scheduled", "old", actor="test", model_version=7)
    assert drift_check.check(context)["actionable"] == []
    assert context.ledger.incident(other).outcome == "void: version 7 is champion no more"


def test_a_source_that_is_away_costs_the_refresh_and_not_the_check(
    context: Context, world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(DirectorySource):
        def published(self) -> list[Month]:
            raise SourceUnavailable("no answer")

    publish(world, tmp_path, "2022-04..2022-06")
    found = drift_check.check(replace(context, source=Away(tmp_path / "published")))
    assert found["actionable"] == []
    assert "no answer" in caplog.text
    assert drift_check.check(context)["actionable"]
