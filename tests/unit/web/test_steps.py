"""The steps of an incident, from its history."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autoops.loop.records.ledger import Incident
from autoops.settings import Settings
from autoops.web.steps import steps_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
OPENED = ("incident opened", 1, "it drifts")
BEGUN = ("retraining begun", None, "it drifts")
TRAINED = ("trained", 2, "3,000 rows")


def explanation(*entries: tuple[str, int | None, str], status: str = "open", **more: Any) -> dict[str, Any]:
    history = [
        (AT + timedelta(minutes=n), "airflow", kind, version, why) for n, (kind, version, why) in enumerate(entries)
    ]
    incident = Incident(7, AT, None, None, "drift", "it drifts", 1, status, None, None)  # type: ignore[arg-type]
    found = {
        "incident": incident,
        "opened_by": "drift_monitor",
        "alarms": [],
        "history": history,
        "begun": {"months": ["2026-01"], "run_id": "scheduled__1"},
        "versions": [2],
        "tenures": [],
        "afterwards": [],
        "links": [],
        "gate": None,
    }
    return found | more


@pytest.mark.parametrize(
    ("entries", "status", "expected"),
    [
        ([OPENED], "open", "done active to_come to_come to_come to_come"),
        ([OPENED, BEGUN], "open", "done done active to_come to_come to_come"),
        ([OPENED, BEGUN, TRAINED], "open", "done done done active to_come to_come"),
        ([OPENED, BEGUN, ("retraining failed", None, "no")], "open", "done done failed skipped skipped skipped"),
        (
            [OPENED, BEGUN, ("retraining failed", None, "no"), BEGUN, TRAINED],
            "open",
            "done done done active to_come to_come",
        ),
        ([OPENED, BEGUN, TRAINED, ("gate", 2, "reject: no")], "closed", "done done done failed skipped skipped"),
        (
            [OPENED, BEGUN, TRAINED, ("gate", 2, "promote: yes"), ("incident waiting for approval", None, "please")],
            "waiting_for_approval",
            "done done done done active to_come",
        ),
        (
            [OPENED, BEGUN, TRAINED, ("gate", 2, "promote: yes"), ("promoted", 2, "yes"), ("served", 2, "1 instance")],
            "closed",
            "done done done done done skipped",
        ),
        ([OPENED, ("incident closed", None, "by hand")], "closed", "done skipped skipped skipped skipped skipped"),
    ],
)
def test_each_step_has_its_progress(
    settings: Settings, entries: list[tuple[str, int | None, str]], status: str, expected: str
) -> None:
    steps = steps_of(explanation(*entries, status=status), settings)  # type: ignore[arg-type]
    assert [step.progress.replace(" ", "_") for step in steps] == expected.split()


def test_a_rollback_shows_in_the_last_step(settings: Settings) -> None:
    found = explanation(OPENED, afterwards=[(AT, "rolled back", "worse")], status="closed")
    assert steps_of(found, settings)[-1].progress == "failed"  # type: ignore[arg-type]


def test_links_lead_to_where_people_open_airflow_and_to_the_pages_of_explain(settings: Settings) -> None:
    console = settings.console.model_copy(update={"airflow_url": "https://airflow.example.org"})
    elsewhere = settings.model_copy(update={"console": console})
    links = [
        ("training of version 2", "https://mlflow.example.org/#/runs/abc"),
        ("check 3", "/home/reports/drift.html"),
    ]
    steps = steps_of(explanation(OPENED, BEGUN, TRAINED, links=links), elsewhere)  # type: ignore[arg-type]
    assert dict(steps[2].links) == {
        "Airflow run": "https://airflow.example.org/dags/retrain/runs/scheduled__1",
        "training of version 2 in MLflow": "https://mlflow.example.org/#/runs/abc",
    }
    assert dict(steps[0].links) == {"drift report": "/report/3"}
