"""The exporter's figures, from a database that is filled by hand."""

import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from autoops.loop.metrics.collector import LoopFigures, registry_of
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.storage import database
from tests.conftest import stored_at
from tests.fakes import HeldClock

INTERVAL_S = 3600.0


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def ledger(engine: sa.Engine, clock: HeldClock) -> Ledger:
    return Ledger(engine, clock)


@pytest.fixture
def checks(engine: sa.Engine, clock: HeldClock) -> CheckLog:
    return CheckLog(engine, clock)


def figures(engine: sa.Engine, clock: HeldClock) -> dict[str, float]:
    """As Prometheus reads them, by name and the values of their labels."""
    text = generate_latest(registry_of(LoopFigures(engine, clock, INTERVAL_S))).decode()
    return {
        " ".join([sample.name.removeprefix("autoops_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("autoops_")
    }


def check(checks: CheckLog, version: int, verdict: str = "no drift", *, alarm: bool = False, **report: Any) -> None:
    ends = {"event_from": None, "event_until": None, "last_prediction_id": None, "last_label_id": None}
    checks.append(model_version=version, verdict=verdict, alarm=alarm, reason="", report=report, **ends)


def feature(name: str, distance: float) -> dict[str, Any]:
    return {"feature": name, "distance": distance, "threshold": 0.2, "importance": 0.5}


def detector(name: str, distance: float) -> dict[str, Any]:
    return {"name": name, "distance": distance, "threshold": 1.0}


def errors(mean: float) -> dict[str, Any]:
    interval = {"mean": mean, "low": mean - 1, "high": mean + 1}
    return {"rows": 1_000, "signed": interval, "absolute": {"mean": 3.0, "low": None, "high": None}}


def test_what_each_check_judged_last_is_told_and_who_is_silent(
    engine: sa.Engine, clock: HeldClock, checks: CheckLog, ledger: Ledger
) -> None:
    ledger.record("promoted", "first", actor="me", model_version=1)
    check(checks, 1, alarm=True, features=[feature("trip_distance", 0.3)], detectors=[detector("data drift", 0.5)])
    clock.advance(seconds=60)
    check(checks, 1, errors=errors(-2.0), detectors=[detector("loss", 1.5)], labels={"delay_s": 30.0, "share": None})
    judged_at = clock.now().timestamp()
    clock.advance(seconds=60)
    check(checks, 1, "no new data")
    found = figures(engine, clock)
    assert found["check_timestamp_seconds"] == judged_at + 60
    assert (found["judged_timestamp_seconds"], found["check_interval_seconds"]) == (judged_at, INTERVAL_S)
    assert (found["drift_distance trip_distance"], found["drift_threshold trip_distance"]) == (0.3, 0.2)
    assert (found["detector_distance data drift"], found["detector_distance loss"]) == (0.5, 1.5)
    assert [found[f"error{bound}_minutes signed"] for bound in ("_low", "", "_high")] == [-3, -2, -1]
    assert found["error_minutes absolute"] == 3
    assert "error_low_minutes absolute" not in found
    assert (found["label_delay_seconds"], "labelled_share" in found) == (30, False)
    assert (found["checks_total no drift"], found["checks_total no new data"], found["check_alarm"]) == (2, 1, 0)


def test_what_checks_would_find_is_told_by_the_newest_that_knows(
    engine: sa.Engine, clock: HeldClock, checks: CheckLog
) -> None:
    assert figures(engine, clock)["detects_too_little"] == 0
    for share, too_large in ((0.04, False), (None, True)):
        check(checks, 1, detectable={"share": share, "told": "", "too_large": too_large})
        check(checks, 1, "broken data")
        found = figures(engine, clock)
        assert (found.get("detectable_loss_share"), found["detects_too_little"]) == (share, too_large)


def test_nothing_that_was_found_of_a_replaced_version_lingers(
    engine: sa.Engine, clock: HeldClock, checks: CheckLog, ledger: Ledger
) -> None:
    ledger.record("promoted", "first", actor="me", model_version=1)
    check(checks, 1, alarm=True, features=[feature("trip_distance", 0.3)], errors=errors(-2.0))
    clock.advance(seconds=60)
    ledger.record("promoted", "second", actor="me", model_version=2)
    found = figures(engine, clock)
    assert (found["champion_version"], found["champion_since_timestamp_seconds"]) == (2, clock.now().timestamp())
    assert not [name for name in found if name.startswith(("drift_", "error_", "check_alarm", "judged_"))]
    assert found["check_timestamp_seconds"] == clock.now().timestamp() - 60
    clock.advance(seconds=60)
    ledger.record("rolled back", "worse", actor="me", model_version=2, evidence={"restored": 1})
    assert figures(engine, clock)["champion_version"] == 1


def test_retrainings_count_by_what_became_of_them(engine: sa.Engine, clock: HeldClock, ledger: Ledger) -> None:
    first, second, third = (ledger.open_incident("drift", "worse", actor="me") for _ in range(3))
    for incident, decision in ((first, "promote"), (second, "reject"), (third, "inconclusive")):
        ledger.record("retraining begun", "why", actor="me", incident_id=incident)
        ledger.record("gate", f"{decision}: because", actor="me", incident_id=incident)
    ledger.record("promoted", "better", actor="me", incident_id=first, model_version=2)
    ledger.record("promoted", "by hand", actor="me", model_version=1)
    ledger.record("retraining failed", "no disk", actor="me", incident_id=third)
    ledger.close(first, "promoted", actor="me")
    ledger.set_status(second, "waiting_for_data", "nothing newer", actor="me")
    found = figures(engine, clock)
    outcomes = ("promoted", "rejected", "inconclusive", "failed")
    assert [found[f"retrainings_total {outcome}"] for outcome in outcomes] == [1, 1, 1, 1]
    states = ("open", "waiting_for_data", "waiting_for_approval")
    assert [found[f"incidents {state}"] for state in states] == [1, 1, 0]
    assert (found["incidents_opened_total drift"], found["incidents_opened_total manual"]) == (3, 0)
    assert (found["ledger_entries_total gate"], found["ledger_entries_total rolled back"]) == (3, 0)


def test_a_freeze_and_the_rows_of_months(engine: sa.Engine, clock: HeldClock, ledger: Ledger) -> None:
    for rows, dropped in ((90, {"too_short": 10}), (80, {"too_short": 15, "no_distance": 5})):
        counts = {"rows": rows, "rows_read": 100, "dropped": dropped}
        ledger.record("ingested", "a month", actor="me", evidence={"month": "2022-01", "content": str(rows), **counts})
    assert figures(engine, clock)["frozen"] == 0
    ledger.record("frozen", "holidays", actor="me")
    found = figures(engine, clock)
    assert found["frozen"] == 1
    assert (found["rows_read_total"], found["rows_kept_total"]) == (200, 170)
    assert (found["rows_dropped_total too_short"], found["rows_dropped_total no_distance"]) == (25, 5)


def test_a_database_that_is_away_is_all_that_is_told(settings: Any, clock: HeldClock, engine: sa.Engine) -> None:
    assert figures(engine, clock)["database_up"] == 1
    nowhere = database.connect(stored_at(settings, f"sqlite:///{settings.storage.home}/empty.db"))
    assert figures(nowhere, clock) == {"database_up": 0}


def test_it_needs_nothing_of_the_pipeline() -> None:
    """The exporter runs in the API's image."""
    imports = "import sys, autoops.bootstrap, autoops.loop.metrics.collector"
    look = f"{imports}; print({{'pandas', 'sklearn', 'scipy'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
