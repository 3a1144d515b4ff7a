"""Retraining on what traffic really was: labelled live predictions instead of, or after, published months."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import DataError, NotPublished
from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.loop.data.labelled_log import digest_of, labelled_until, logged_months, rows_of
from autoops.loop.monitor import drift_check
from autoops.loop.retrain import retraining
from autoops.models.registry import champion_of
from autoops.months import Month, parse_months
from autoops.settings import Settings
from autoops.storage.predictions import LIVE, Label, LogSelection
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import write_sample
from autoops.usecases.taxi.trips import NEW_YORK
from tests.integration.one_process import answers, drive, publish, retrain, with_champion

APRIL, MAY, JUNE = Month(2022, 4), Month(2022, 5), Month(2022, 6)
WHOLE = slice(0, 4_000)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trips become 30 % slower from April on."""
    directory = tmp_path_factory.mktemp("world")
    months = parse_months("2022-01..2022-06")
    write_sample(directory, months, trips_per_month=4_000, scenario="speed", changes_from=APRIL)
    return directory


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path, world: Path) -> Context:
    """Trains on the log; its first champion cannot have done so."""
    built = with_champion(tmp_path, world, engine, source="log")
    assert champion_of(built.registry).tags["training_source"] == "months"
    return built


def training_on(context: Context, source: str) -> Context:
    training = context.settings.training.model_copy(update={"source": source})
    return replace(context, settings=context.settings.model_copy(update={"training": training}))


def test_drift_is_healed_without_any_publication(context: Context, world: Path) -> None:
    actionable: list[int] = []
    for start in range(0, 4_000, 1_000):
        drive(context, world, APRIL, slice(start, start + 1_000))
        actionable += drift_check.check(context)["actionable"]
    (incident_id,) = actionable
    plan = retraining.begin(context, "second", incident_id=incident_id)
    assert (plan["months"], plan["logged"]) == (["2022-04"], ["2022-04"])
    assert retraining.ingest(context, plan) == {}
    version = retraining.candidate(context, plan)
    verdict = retraining.gate(context, plan, version)
    assert verdict["decision"] == "promote"
    assert verdict["days"] == 7
    assert retraining.promote(context, plan, version, verdict)["promoted"]

    trips = rows_of(context, [APRIL])
    (dataset,) = context.registry.runs[version].datasets
    assert (dataset.name, dataset.digest) == ("labelled_log_2022-04_2022-04", digest_of(trips))
    assert dataset.rows == len(trips)
    assert context.registry.version(version).tags["training_source"] == "log"
    assert drift_check.check(training_on(context, "months"))["actionable"] == []


def test_trips_that_came_after_a_retraining_are_no_trips_that_it_had(context: Context, world: Path) -> None:
    """They are of the same month."""
    for start in (0, 1_000):
        drive(context, world, APRIL, slice(start, start + 1_000))
        found = drift_check.check(context)
    # A window of fewer than 1,000 rows leaves out fewer of the newest than the log does.
    drive(context, world, APRIL, slice(2_000, 2_020))
    plan = retraining.begin(context, "second", incident_id=found["incident_id"])
    assert plan["months"] == ["2022-04"]
    verdict = retraining.gate(context, plan, 1)
    retraining.close(context, plan, {"promoted": False, "version": 1, "reason": verdict["reason"]})
    drive(context, world, APRIL, slice(2_020, 3_020))
    assert drift_check.check(context)["decision"] == "open incident"


def test_an_incident_beyond_the_labels_waits_for_them(context: Context, world: Path) -> None:
    drive(context, world, APRIL, WHOLE)
    newest = rows_of(context, [APRIL])["event_at"].iloc[-11].to_pydatetime()
    beyond, within = (
        context.ledger.open_incident("drift", "odd", actor="test", evidence_end=newest + timedelta(hours=hours))
        for hours in (1, 0)
    )
    found = drift_check.check(context)
    assert beyond not in found["actionable"]
    assert within in found["actionable"]
    assert context.ledger.incident(beyond).status == "waiting_for_data"
    with pytest.raises(NotPublished, match="the labelled log does not reach"):
        retraining.begin(context, "early", incident_id=beyond)
    drive(context, world, MAY, slice(0, 100))
    assert beyond in drift_check.check(context)["actionable"]


def test_too_few_labelled_trips_are_said(context: Context, world: Path) -> None:
    with pytest.raises(NotPublished, match="no labelled trip to train on"):
        retraining.begin(context, "none")
    drive(context, world, APRIL, slice(0, 1_500))
    plan = retraining.begin(context, "few")
    with pytest.raises(DataError, match=r"training\.min_rows is 2000"):
        retraining.candidate(context, plan)


def test_after_the_published_months_comes_the_log(context: Context, world: Path, tmp_path: Path) -> None:
    both = training_on(context, "both")
    publish(world, tmp_path, "2022-04")
    drive(both, world, APRIL, WHOLE)
    drive(both, world, MAY, WHOLE)
    assert logged_months(both) == [APRIL, MAY]
    plan = retraining.begin(both, "second")
    assert (plan["months"], plan["logged"]) == (["2022-03", "2022-04", "2022-05"], ["2022-05"])
    version = retraining.candidate(both, plan)
    names = [dataset.name for dataset in both.registry.runs[version].datasets]
    assert names == ["green_tripdata_2022-03", "green_tripdata_2022-04", "labelled_log_2022-05_2022-05"]
    assert both.registry.version(version).tags["training_source"] == "both"
    assert Month.of(both.registry.version(version).trained_until, NEW_YORK) == MAY
    assert len(both.registry.version(version).tags["data_digests"].split(",")) == 3


def test_broken_data_and_impossible_labels_are_left_out(context: Context, world: Path) -> None:
    drive(context, world, APRIL, slice(0, 1_000))
    rows = context.log.latest_labelled(LogSelection(1, LIVE), 1_000)
    before = rows_of(context, [APRIL])
    assert len(before) == 1_000
    context.log.attach([Label(600.0, prediction_id=rows[-1].logged.id)], context.clock.now())
    context.log.attach([Label(7.5, prediction_id=rows[-2].logged.id)], context.clock.now())
    corrected = rows_of(context, [APRIL])
    assert len(corrected) == 999, "the later label counts, and ten hours are no trip"
    assert (corrected[TARGET] == 7.5).any()
    assert digest_of(corrected) != digest_of(before)

    context.checks.append(
        model_version=1,
        verdict="broken data",
        alarm=False,
        reason="kilometres",
        event_from=None,
        event_until=None,
        last_prediction_id=None,
        last_label_id=None,
        report={"source": LIVE, "broken": {"predictions": [None, rows[299].logged.id], "labels": [None, None]}},
    )
    assert len(rows_of(context, [APRIL])) == 699
    assert rows_of(context, [MAY]).empty


def test_rows_of_a_deleted_version_are_trained_on(context: Context, world: Path) -> None:
    """`prune` deletes versions after half of the time for which it keeps their predictions."""
    drive(context, world, APRIL, slice(0, 1_000))
    known = rows_of(context, [APRIL])
    assert retrain(training_on(context, "months"), "forced", force=True)["promoted"]
    context.registry.delete_version(1)
    assert (logged_months(context), digest_of(rows_of(context, [APRIL]))) == ([APRIL], digest_of(known))


@pytest.mark.parametrize("year", [2009, 2022, 2090])
def test_a_few_trips_of_another_time_decide_nothing(context: Context, world: Path, year: int) -> None:
    """Clients whose clocks are wrong."""
    drive(context, world, APRIL, WHOLE)
    months, until, known = logged_months(context), labelled_until(context), rows_of(context, [APRIL])
    trips = clean(world / file_name(APRIL), APRIL).rows.iloc[:30]
    strays = answers(context, trips.assign(event_at=trips["event_at"] + timedelta(days=365 * (year - 2022) + 90)))
    context.log.append(strays)
    context.log.attach([Label(9.0, prediction_id=row.id) for row in strays[:10]], context.clock.now())
    drive(context, world, MAY, slice(0, 10))
    assert logged_months(context) == months
    found = labelled_until(context)
    assert abs(found - until) < timedelta(hours=6)
    assert len(rows_of(context, [APRIL])) == len(known)


def quiet(context: Context, **training: object) -> Context:
    """No alarm leads to an incident."""
    settings = context.settings
    drift = settings.drift.model_copy(update={"alarms_needed": 99, "alarms_of": 99})
    changed = {"drift": drift, "training": settings.training.model_copy(update=training)}
    return replace(context, settings=settings.model_copy(update=changed))


def test_a_refresh_comes_with_whole_months_of_the_log(context: Context, world: Path) -> None:
    old = quiet(context)
    drive(old, world, APRIL, WHOLE)
    assert drift_check.check(old)["actionable"] == [], "April may not be over"
    drive(old, world, MAY, slice(0, 20))
    (incident_id,) = drift_check.check(old)["actionable"]
    assert context.ledger.incident(incident_id).reason.endswith("2022-04 is at hand")
    plan = retraining.begin(old, "fresh", incident_id=incident_id)
    assert plan["logged"] == ["2022-04", "2022-05"]


def test_the_gate_looks_again_when_the_log_has_the_days(context: Context, world: Path) -> None:
    strict = context.settings.gate.model_copy(update={"min_rows": 2_000})
    careful = quiet(replace(context, settings=context.settings.model_copy(update={"gate": strict})))
    drive(careful, world, APRIL, WHOLE)
    assert "looked at again" in str(retrain(careful, "second")["reason"])
    drive(careful, world, MAY, WHOLE)
    assert drift_check.check(careful)["actionable"] == []
    drive(careful, world, JUNE, slice(0, 20))
    (incident_id,) = drift_check.check(careful)["actionable"]
    plan = retraining.begin(careful, "look", incident_id=incident_id)
    assert (plan["months"], plan["logged"], plan["challenger"]) == (["2022-04", "2022-05"], plan["months"], 2)
    verdict = retraining.gate(careful, plan, retraining.candidate(careful, plan))
    assert (verdict["decision"], verdict["days"]) == ("promote", 38)
