"""The loop in one process: real months, training, ONNX, calibration and drift; only the registry is a stand-in."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import BrokenData, Conflict, InputError, NotPublished, ServiceUnavailable
from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.loop.data.scored_months import score
from autoops.loop.monitor import drift_check
from autoops.loop.promote.promotion import promote_version, roll_back
from autoops.loop.records.checks import JUDGED
from autoops.loop.reports.overview import overview, sentences
from autoops.loop.retrain import retraining
from autoops.models.registry import CHAMPION, PREVIOUS, champion_of
from autoops.models.scoring import load_version
from autoops.months import Month, parse_months
from autoops.settings import Settings, load_settings
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import write_sample
from autoops.usecases.taxi.trips import NEW_YORK
from tests.conftest import CONFIG
from tests.integration.one_process import SMALL, context_in, drive, publish, retrain, with_champion

CHANGE = Month(2022, 5)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six months in which trips become 25 % slower from the fifth on."""
    directory = tmp_path_factory.mktemp("world")
    months = parse_months("2022-01..2022-06")
    write_sample(directory, months, trips_per_month=9_000, seed=7, scenario="speed", changes_from=CHANGE)
    return directory


@pytest.fixture
def small(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AUTOOPS__MODEL__PARAMETERS", json.dumps(SMALL))
    # What heals it is the alarm.
    monkeypatch.setenv("AUTOOPS__TRAINING__RETRAIN_AFTER_MONTHS", "0")
    return load_settings(CONFIG)


@pytest.fixture
def context(small: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    return context_in(tmp_path, small, engine)


@pytest.fixture
def promoted(engine: sa.Engine, tmp_path: Path, world: Path) -> Context:
    """Version 1, of the three months before the change, serves."""
    return with_champion(tmp_path, world, engine)


def test_a_model_degrades_and_heals_itself(context: Context, world: Path, tmp_path: Path) -> None:
    context = replace(context, draws_pages=True)
    publish(world, tmp_path, "2022-01..2022-03")
    assert retrain(context, "first", reason="first model")["promoted"]
    assert drift_check.check(context)["verdict"] == "no new data"

    drive(context, world, Month(2022, 4), slice(0, 400))
    assert drift_check.check(context)["verdict"] == "not enough data"
    drive(context, world, Month(2022, 4), slice(400, 3_000))
    steady = drift_check.check(context)
    assert (steady["verdict"], steady["alarm"], steady["actionable"]) == ("no drift", False, [])
    assert context.registry.checks[-1]["files"] == ["verdict.json", "drift.html"]
    assert drift_check.check(context)["verdict"] == "no new data"

    publish(world, tmp_path, "2022-04")
    incidents = []
    for start in range(0, 3_000, 1_000):
        drive(context, world, CHANGE, slice(start, start + 1_000))
        checked = drift_check.check(context)
        assert checked["actionable"] == []
        incidents.append(checked["incident_id"])
    (incident,) = context.ledger.incidents(unresolved=True)
    assert incidents[0] is None
    assert set(incidents[1:]) == {incident.id}
    assert incident.status == "waiting_for_data"

    publish(world, tmp_path, str(CHANGE))
    assert drift_check.check(context)["actionable"] == [incident.id]
    assert drift_check.check(context)["actionable"] == []

    assert retrain(context, "second", incident_id=incident.id)["promoted"]
    assert context.registry.by_alias(CHAMPION).number == 2
    assert context.registry.by_alias(PREVIOUS).number == 1
    assert context.ledger.incident(incident.id).status == "closed"

    drive(context, world, Month(2022, 6), slice(0, 3_000))
    healed = drift_check.check(context)
    assert (healed["verdict"], healed["model_version"]) == ("no drift", 2)
    publish(world, tmp_path, "2022-06")
    assert score(context, Month(2022, 6))["loss"] < 0.9 * mae_of(context, world, version=1, month=Month(2022, 6))


def mae_of(context: Context, world: Path, version: int, month: Month) -> float:
    trips = clean(world / file_name(month), month).rows
    scorer = load_version(context.registry, context.registry.version(version), context.model_cache)
    return float(abs(scorer.predict_rows(columns_of(trips)) - trips[TARGET]).mean())


def test_retries_and_second_triggers_train_and_promote_once(context: Context, world: Path, tmp_path: Path) -> None:
    publish(world, tmp_path, "2022-01..2022-03")
    plan = retraining.begin(context, "run-1", reason="by hand")
    assert retraining.begin(context, "run-1", reason="by hand")["incident_id"] == plan["incident_id"]
    with pytest.raises(Conflict, match="run-1"):
        retraining.begin(context, "run-2", incident_id=plan["incident_id"])

    versions = {retraining.candidate(context, plan) for _ in range(2)}
    verdicts = [retraining.gate(context, plan, 1) for _ in range(2)]
    outcomes = [retraining.promote(context, plan, 1, verdicts[0]) for _ in range(2)]
    closings = [retraining.close(context, plan, outcomes[0]) for _ in range(2)]

    assert versions == {1}
    assert len(context.registry.versions()) == 1
    assert verdicts[0] == verdicts[1]
    assert outcomes[0] == outcomes[1]
    assert closings[0] == closings[1]
    assert len(context.ledger.entries(kind="promoted")) == 1
    with pytest.raises(Conflict, match="closed"):
        retraining.begin(context, "run-1", incident_id=plan["incident_id"])


def test_a_version_carries_what_its_life_needs(context: Context, world: Path, tmp_path: Path) -> None:
    publish(world, tmp_path, "2022-01..2022-03")
    retrain(context, "first", reason="the first of all")
    champion = champion_of(context.registry)
    assert champion.tags["training_months"] == "2022-01,2022-02,2022-03"
    assert champion.tags["trigger"] == "manual"
    assert champion.tags["reason"] == "the first of all"
    assert context.registry.runs[1].tags["reason"] == "the first of all"
    assert champion.tags["gate_decision"] == "promote"
    assert len(champion.tags["data_digests"].split(",")) == 3
    assert champion.trained_until < Month(2022, 3).ends_in(NEW_YORK) - timedelta(days=0.9)
    assert context.registry.verdicts[1, "gate"]["decision"] == "promote"


def test_the_same_months_again_are_not_demonstrably_better(promoted: Context) -> None:
    outcome = retrain(promoted, "again", months="2022-01..2022-03")
    assert not outcome["promoted"]
    assert "inconclusive" in outcome["reason"]
    assert promoted.registry.by_alias(CHAMPION).number == 1


def test_challengers_on_the_same_days_share_the_error_probability(promoted: Context) -> None:
    retrain(promoted, "again", months="2022-01..2022-03")
    retrain(promoted, "once more", months="2022-02..2022-03")
    _, second, third = promoted.ledger.entries(kind="gate")
    assert [entry.evidence["challengers_before"] for entry in (second, third)] == [0, 1]
    assert "95% interval" in second.reason
    assert "97.5% interval" in third.reason


def test_force_promotes_against_the_gate_and_says_so(promoted: Context) -> None:
    with pytest.raises(InputError, match="say why"):
        retraining.begin(promoted, "again", months="2022-01..2022-03", force=True)
    outcome = retrain(promoted, "again", months="2022-01..2022-03", force=True)
    assert outcome["promoted"]
    assert "forced although" in outcome["reason"]


def test_nothing_published_is_said_before_anything_runs(context: Context) -> None:
    with pytest.raises(NotPublished, match="no month to train on"):
        retraining.begin(context, "run-1")
    assert context.ledger.incidents() == []


def test_broken_data_is_quarantined(context: Context, world: Path, tmp_path: Path) -> None:
    publish(world, tmp_path, "2022-01..2022-02")
    write_sample(
        tmp_path / "published", [Month(2022, 3)], trips_per_month=2_000, seed=7, scenario="unit", magnitude=60.0
    )
    plan = retraining.begin(context, "run-1")
    assert plan["months"] == ["2022-01", "2022-02"], "of themselves, retrainings leave it out"
    named = retraining.begin(context, "run-2", months="2022-03")
    with pytest.raises(BrokenData, match=r"data\.min_kept_share"), retraining.failures_recorded(context, named):
        retraining.candidate(context, named)
    (failure,) = context.ledger.entries(kind="retraining failed")
    assert "2022-03" in failure.reason
    assert context.ledger.incident(named["incident_id"]).status == "open"
    assert context.registry.versions() == []
    assert context.ledger.entries(kind="quarantined")


def test_an_incident_in_a_quarantined_month_waits_for_another_one(
    promoted: Context, world: Path, tmp_path: Path
) -> None:
    april = Month(2022, 4)
    write_sample(tmp_path / "published", [april], trips_per_month=9_000, seed=7, scenario="unit", magnitude=60.0)
    until = april.starts_in(NEW_YORK) + timedelta(days=9)
    incident_id = promoted.ledger.open_incident("drift", "odd", actor="test", evidence_end=until)
    assert drift_check.check(promoted)["actionable"] == [incident_id], "nobody has looked into the month yet"
    with pytest.raises(NotPublished, match="quarantined"):
        retraining.begin(promoted, "run-1", incident_id=incident_id)
    assert drift_check.check(promoted)["actionable"] == []
    assert promoted.ledger.incident(incident_id).status == "waiting_for_data"
    publish(world, tmp_path, "2022-05")
    assert drift_check.check(promoted)["actionable"] == []
    promoted.clock.advance(hours=1)
    assert drift_check.check(promoted)["actionable"] == [incident_id]


def test_a_version_is_judged_in_windows_of_the_size_it_was_calibrated_for(promoted: Context, world: Path) -> None:
    drift = promoted.settings.drift.model_copy(update={"window_size": 500})
    smaller = replace(promoted, settings=promoted.settings.model_copy(update={"drift": drift}))
    drive(smaller, world, Month(2022, 4), slice(0, 700))
    assert drift_check.check(smaller)["verdict"] == "not enough data"
    drive(smaller, world, Month(2022, 4), slice(700, 1_000))
    assert drift_check.check(smaller)["verdict"] in JUDGED
    assert drift_check.check(smaller)["verdict"] == "no new data"


def test_rolling_back_restores_the_previous_version_and_marks_the_other(promoted: Context) -> None:
    retrain(promoted, "again", months="2022-01..2022-03", force=True)
    with pytest.raises(Conflict, match="version 1 was to be rolled back, but champion is version 2"):
        roll_back(promoted, reason="too late", actor="me", expected=1)
    assert roll_back(promoted, reason="worse at night", actor="me", expected=2) == 1
    assert promoted.registry.by_alias(CHAMPION).number == 1
    assert promoted.registry.version(2).tags["rolled_back"] == "worse at night"
    plan = retraining.begin(promoted, "third", months="2022-01..2022-03", force=True, reason="I insist")
    refused = retraining.promote(promoted, plan, 2, {"decision": "promote", "reason": "", "champion": 1})
    assert not refused["promoted"]


def test_a_promotion_is_refused_when_another_is_champion_by_then(promoted: Context) -> None:
    plan = retraining.begin(promoted, "second", months="2022-01..2022-03")
    version = retraining.candidate(promoted, plan)
    with pytest.raises(Conflict, match="champion is version 1"):
        promote_version(promoted, version, reason="stale", actor="me", replaces=9)


def test_a_promotion_that_broke_off_before_its_record_gets_one_from_the_retry(promoted: Context) -> None:
    plan = retraining.begin(promoted, "second", months="2022-01..2022-03", force=True, reason="I insist")
    version = retraining.candidate(promoted, plan)
    verdict = retraining.gate(promoted, plan, version)
    promoted.registry.set_alias(CHAMPION, version)
    for _ in range(2):
        retraining.promote(promoted, plan, version, verdict)
    (entry,) = promoted.ledger.entries(kind="promoted", model_version=version)
    assert (entry.incident_id, entry.evidence) == (plan["incident_id"], {"replaces": 1})


def test_the_status_tells_what_each_instance_serves(context: Context) -> None:
    now = context.clock.now()
    context.instances.beat("a", None, now, now)
    context.instances.beat("b", 1, now, now, "box-2")
    assert "instances  a serves no version yet; box-2 (b) serves version 1" in sentences(overview(context))


def test_a_run_that_an_earlier_release_began_goes_on(context: Context, world: Path, tmp_path: Path) -> None:
    publish(world, tmp_path, "2022-01..2022-03")
    plan = dict(retraining.begin(context, "before the upgrade", reason="first model"))
    del plan["evidence_start"]
    plan["holds_from"] = "2022-03-01T05:00:00+00:00"
    retraining.ingest(context, plan)
    version = retraining.train(context, plan)
    assert retraining.gate(context, plan, version)["decision"] == "promote"


def test_confirm_waits_for_every_instance(context: Context) -> None:
    plan = {"incident_id": None, "run_id": "by-hand", "actor": "me"}
    now = context.clock.now()
    with pytest.raises(ServiceUnavailable, match="no instance"):
        retraining.confirm(context, plan, 2, timeout_s=0)
    context.instances.beat("a", 2, now, now)
    context.instances.beat("b", 1, now, now, "box-2")
    with pytest.raises(ServiceUnavailable, match=r"box-2 \(b\): 1"):
        retraining.confirm(context, plan, 2, timeout_s=0)
    context.instances.beat("b", 2, now, now, "box-2")
    assert retraining.confirm(context, plan, 2, timeout_s=0)["instances"] == 2
    silent, late, served = context.ledger.entries()
    assert (silent.kind, silent.evidence) == ("not served", {"instances": {}})
    assert (late.kind, late.evidence) == ("not served", {"instances": {"a": 2, "box-2 (b)": 1}})
    assert (served.kind, served.evidence) == ("served", {"instances": {"a": 2, "box-2 (b)": 2}})
