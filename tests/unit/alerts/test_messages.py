import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
import typer.main

from autoops.alerts.messages import LONGEST_EVIDENCE, WORDS, Facts, message
from autoops.cli import app
from autoops.loop.records.ledger import Entry, Incident
from autoops.settings.types import AlertEvent

NOW = datetime(2026, 3, 1, 14, 5, 9, tzinfo=UTC)
INCIDENT = Incident(7, NOW, None, None, "drift", "slower", 3, "waiting_for_approval", None, None)
EVIDENCE: dict[str, dict[str, Any]] = {
    "promoted": {"replaces": 3},
    "gate": {"decision": "reject", "champion": 3},
    "rolled back": {"restored": 3},
    "quarantined": {"month": "2022-05"},
}
TITLES = {
    "incident opened": "taxi: incident 7 was opened (drift, version 3)",
    "promoted": "taxi: version 4 is champion now, in place of version 3",
    "gate": "taxi: the gate did not let version 4 in",
    "rolled back": "taxi: version 4 was rolled back, version 3 is champion again",
    "quarantined": "taxi: 2022-05 is quarantined: its data is broken",
    "page": "taxi: incident 7 needs a person",
    "retraining failed": "taxi: a retraining for incident 7 failed",
    "incident waiting for approval": "taxi: incident 7 waits for your approval",
    "monitor silent": "taxi: the monitor is silent",
    "monitor checks again": "taxi: the monitor checks again",
    "not served": "taxi: the API does not serve version 4, which is champion",
    "served again": "taxi: the API serves version 4, the champion, again",
    "labels missing": "taxi: labels do not come any more",
    "labels come again": "taxi: labels come again",
    "frozen long": "taxi: the loop is still frozen",
    "detects too little": "taxi: drift checks of the champion find large changes only",
}


def facts(kind: str, *, incident: Incident | None = INCIDENT, **of_entry: Any) -> Facts:
    values = {"reason": "worse by 12 %", "evidence": EVIDENCE.get(kind, {}), "model_version": 4} | of_entry
    entry = Entry(
        id=1, at=NOW, kind=kind, actor="drift_monitor", incident_id=incident.id if incident else None, **values
    )
    return Facts(entry, incident, "taxi")


def test_all_that_may_be_told_is_told_of_some_entry() -> None:
    told = {found.event for found in (message(facts(kind)) for kind in WORDS) if found}
    assert told == set(get_args(AlertEvent))
    assert TITLES.keys() == WORDS.keys()


@pytest.mark.parametrize("kind", WORDS)
def test_each_says_what_happened_why_what_was_done_and_what_may_be_done(kind: str) -> None:
    told = message(replace(facts(kind), report="http://mlflow/#/runs/1"))
    assert told
    assert told.title == TITLES[kind]
    evidence, done, may, when, report = told.body.splitlines()
    assert evidence == "Evidence: worse by 12 %"
    assert done.startswith("Done: ")
    assert may.startswith("You may: ")
    assert when == "When and by whom: 2026-03-01 14:05:09 UTC, drift_monitor"
    assert report == "Report: http://mlflow/#/runs/1"


@pytest.mark.parametrize("kind", WORDS)
def test_the_commands_that_it_names_exist(kind: str) -> None:
    told = message(facts(kind))
    assert told
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for verb, options in re.findall(r"autoops ([a-z-]+)((?: --?[a-z-]+)*)", told.body):
        known = {name for parameter in verbs[verb].params for name in parameter.opts}
        assert set(options.split()) <= known


@pytest.mark.parametrize(
    "untold",
    [
        facts("incident opened", incident=replace(INCIDENT, kind="manual")),
        facts("incident waiting for approval", incident=replace(INCIDENT, status="closed")),
        facts("gate", evidence={"decision": "promote", "champion": 3}),
        replace(facts("gate"), forced=True),
        facts("page", incident=None, evidence={"repeats": "rolled back"}),
        facts("check"),
    ],
)
def test_what_a_person_did_or_hears_of_otherwise_is_not_told(untold: Facts) -> None:
    assert message(untold) is None


def test_a_month_that_could_not_be_read_is_not_to_be_released() -> None:
    told = message(facts("quarantined", evidence={"month": "2022-05", "ingested": False}))
    assert told
    assert "release 2022" not in told.body
    assert "correct the file at the source" in told.body


def test_a_page_without_an_incident_still_calls() -> None:
    live = message(facts("page", incident=None, evidence={"findings": []}))
    other = message(facts("page", incident=None))
    assert live
    assert (live.event, live.urgency, live.title) == ("quarantined", "failure", "taxi: live traffic is broken data")
    assert other
    assert (other.event, other.urgency) == ("page", "failure")


def test_the_evidence_is_one_line_of_bounded_length_without_passwords() -> None:
    told = message(facts("page", reason="failed:\n  http://me:hunter2@mlflow:5000/x is away " + "x" * 2000))
    assert told
    (line,) = [line for line in told.body.splitlines() if line.startswith("Evidence: ")]
    expected = "Evidence: failed: http://mlflow:5000/x is away " + "x" * 2000
    assert line == expected[: len("Evidence: ") + LONGEST_EVIDENCE - 1] + "…"


@pytest.mark.parametrize("kind", WORDS)
def test_the_longest_still_fits_into_a_pager(kind: str) -> None:
    long = facts(
        kind, reason="x" * 2000, incident=replace(INCIDENT, id=12_345, model_version=1_234), model_version=1_234
    )
    told = message(
        replace(long, model="nyc_taxi_trip_duration", report="https://mlflow.example.com/#/runs/" + "f" * 32)
    )
    assert told
    assert len(f"{told.title}\n{told.body}") <= 1_024
