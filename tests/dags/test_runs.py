"""`dag.test()` of all DAGs: real steps on a real pipeline, without a scheduler."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.loop.records.ledger import Ledger
from autoops.storage import tables
from tests.dags.conftest import DAGS, SMALL, run_script, variables_of
from tests.receiver import Webhook, listening

pytestmark = pytest.mark.system

FORMS = [
    {"months": "2022-01..2022-03", "reason": "first model", "force": False},
    {"months": "2022-01..2022-03", "reason": "I insist", "force": True},
    {"months": "2031-01", "reason": "", "force": False},
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dag-test")


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with listening() as hook:
        yield hook


@pytest.fixture(scope="module")
def runs(home: Path, world: Path, webhook: Webhook) -> list[dict[str, Any]]:
    uri = f"sqlite:///{home}/mlflow.db"
    settings = {**SMALL, "data.source": world, "mlflow.tracking_uri": uri, "alerts.urls": webhook.url}
    # Another month is published meanwhile, and what is watched here is what alarms and people ask for.
    settings["training.retrain_after_months"] = 0
    variables = variables_of(home, settings)
    log = home / "logs" / "airflow" / "dag_id=retrain" / "attempt=1.log"
    log.parent.mkdir(parents=True)
    log.touch()
    os.utime(log, (0, 0))
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=variables, cwd=home, check=True, capture_output=True)
    script = Path(__file__).with_name("run_dags.py")
    found: list[dict[str, Any]] = run_script(script, str(DAGS), json.dumps(FORMS), variables=variables)
    return found


@pytest.fixture
def ledger(home: Path) -> Ledger:
    return Ledger(sa.create_engine(f"sqlite:///{home}/autoops.db"), SystemClock())


def test_before_the_first_model_the_monitor_has_nothing_to_act_on(runs: list[dict[str, Any]]) -> None:
    assert runs[0]["state"] == "success"
    assert runs[0]["tasks"] == {"check": "success", "incident_to_act_on": "success", "emit": "skipped"}


def test_a_run_by_hand_trains_promotes_and_confirms_the_first_model(runs: list[dict[str, Any]], ledger: Ledger) -> None:
    assert runs[1]["state"] == "success"
    assert runs[1]["tasks"].pop("record_failure") == "skipped"
    assert set(runs[1]["tasks"].values()) == {"success"}
    incident = ledger.incident(1)
    assert (incident.kind, incident.reason, incident.status) == ("manual", "first model", "closed")
    assert ledger.entries(incident_id=1, kind="served")[0].model_version == 1


def test_force_promotes_what_the_gate_would_not(runs: list[dict[str, Any]], ledger: Ledger) -> None:
    assert runs[2]["state"] == "success"
    (gate,) = ledger.entries(incident_id=2, kind="gate")
    assert gate.evidence["decision"] != "promote", "both were trained on the same months"
    promoted = ledger.entries(incident_id=2, kind="promoted")[0]
    assert "forced although" in promoted.reason
    assert promoted.actor == "airflow:dag_test"


def test_a_run_on_a_month_that_is_not_published_fails_before_it_opens_an_incident(
    runs: list[dict[str, Any]], ledger: Ledger
) -> None:
    assert runs[3]["state"] == "failed"
    assert runs[3]["tasks"]["begin"] == runs[3]["tasks"]["record_failure"] == "failed"
    assert runs[3]["tasks"]["train"] == "upstream_failed"
    assert [incident.kind for incident in ledger.incidents()] == ["drift", "manual", "manual"], (
        "the first is the test's own"
    )
    assert ledger.entries(kind="retraining failed") == []


def test_the_monitor_watches_the_new_champion(runs: list[dict[str, Any]], home: Path) -> None:
    assert runs[4]["tasks"] == {"check": "success", "incident_to_act_on": "success", "emit": "skipped"}
    with sa.create_engine(f"sqlite:///{home}/autoops.db").connect() as connection:
        checks = connection.execute(sa.select(tables.checks.c.model_version, tables.checks.c.verdict)).all()
    assert [tuple(row) for row in checks] == [(2, "no new data")]


def test_a_persons_yes_promotes_what_waited_and_stands_in_the_ledger_with_a_name(
    runs: list[dict[str, Any]], ledger: Ledger
) -> None:
    assert runs[5]["tasks"] == {"approve": "success", "confirm": "success", "close": "success"}
    entries = {entry.kind: entry for entry in ledger.entries(incident_id=3)}
    assert (entries["approved"].reason, entries["approved"].actor) == ("I looked", "airflow:dag_test")
    assert entries["promoted"].model_version == entries["served"].model_version == 1
    assert "approved: I looked" in ledger.incident(3).outcome


def test_pruning_cleans_airflow_too(runs: list[dict[str, Any]], home: Path) -> None:
    assert runs[7]["tasks"] == {"prune_loop": "success", "prune_airflow": "success"}
    assert not (home / "logs" / "airflow" / "dag_id=retrain" / "attempt=1.log").exists()


def test_the_watchdog_tells_of_all_that_the_urgent_first(runs: list[dict[str, Any]], webhook: Webhook) -> None:
    assert runs[6]["tasks"] == {"watch": "success", "tell": "success"}
    assert [json.loads(body)["title"].partition(": ")[2] for body in webhook.bodies] == [
        "incident 3 was opened (drift)",
        "version 1 is champion now",
        "version 2 is champion now, in place of version 1",
        "version 1 is champion now, in place of version 2",
    ]
