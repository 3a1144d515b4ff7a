"""The DAG files as Airflow parses them."""

import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.dags.conftest import DAGS, run_script, variables_of

USECASE = [
    "calendar",
    "columns",
    "contract",
    "declaration",
    "derived",
    "encoding",
    "functions",
    "rows",
    "segments",
]
"""What settings are checked against."""
STEPS = ["begin", "ingest", "validate", "train", "gate", "promote", "confirm", "close"]


def test_all_dags_parse_without_errors(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {"drift_monitor", "retrain", "approve", "watchdog", "prune"}


def test_dags_in_folders_of_a_dags_folder_find_what_they_share(tmp_path: Path) -> None:
    """Two copies, beside another team's `conventions`; Airflow itself says that a DAG id exists twice."""
    for folder in ("ours/autoops", "ours/older/autoops"):
        shutil.copytree(DAGS, tmp_path / "dags" / folder)
    (tmp_path / "dags" / "conventions.py").write_text("raise ImportError('not ours')\n")
    script, variables = Path(__file__).with_name("describe.py"), variables_of(tmp_path, {})
    found = run_script(script, str(tmp_path / "dags"), variables=variables)
    assert set(found["dags"]) == {"drift_monitor", "retrain", "approve", "watchdog", "prune"}
    assert [error for error in found["errors"].values() if "AirflowDagDuplicatedIdException" not in error] == []


def test_parsing_is_quick_and_loads_nothing_heavy(parsed: dict[str, Any]) -> None:
    assert parsed["heavy"] == []
    assert set(parsed["ours"]) <= {
        "autoops.settings",
        "autoops.settings.file",
        "autoops.settings.schema",
        "autoops.settings.types",
        "autoops.errors",
        "autoops.redaction",
        "autoops.usecase",
        *(f"autoops.usecase.{name}" for name in USECASE),
    }
    assert all(seconds < 2 for seconds in parsed["seconds"].values())


def test_no_package_of_ours_hides_airflow() -> None:
    assert list(DAGS.parent.rglob("__init__.py")) == []


def test_every_dag_explains_itself(parsed: dict[str, Any]) -> None:
    for dag in parsed["dags"].values():
        assert dag["tags"] == ["autoops"]
        assert all(f"**{task}**" in dag["doc"] for task in dag["tasks"])


def test_the_monitor_follows_the_configured_interval_and_never_overlaps(parsed: dict[str, Any]) -> None:
    monitor = parsed["dags"]["drift_monitor"]
    assert "seconds=90" in monitor["schedule"]
    assert (monitor["catchup"], monitor["max_active_runs"]) == (False, 1)


def test_the_watchdog_tells_whether_it_could_look_or_not(parsed: dict[str, Any]) -> None:
    watchdog = parsed["dags"]["watchdog"]
    assert "seconds=300" in watchdog["schedule"]
    assert (watchdog["catchup"], watchdog["max_active_runs"]) == (False, 1)
    assert watchdog["tasks"]["tell"]["upstream"] == ["watch"]
    assert watchdog["tasks"]["tell"]["trigger_rule"] == "all_done"


def test_pruning_waits_for_its_time_of_day_and_does_not_begin_with_the_installation(parsed: dict[str, Any]) -> None:
    prune = parsed["dags"]["prune"]
    assert "CronTriggerTimetable" in prune["schedule"]
    assert (prune["catchup"], prune["max_active_runs"]) == (False, 1)


def test_only_a_task_behind_the_short_circuit_emits_the_incident(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["drift_monitor"]["tasks"]
    emitting = [name for name, task in tasks.items() if task["outlets"]]
    assert emitting == ["emit"]
    assert tasks["emit"]["upstream"] == ["incident_to_act_on"]
    assert tasks["incident_to_act_on"]["upstream"] == ["check"]


def test_retrain_starts_on_the_very_asset_that_the_monitor_emits(parsed: dict[str, Any]) -> None:
    (emitted,) = parsed["dags"]["drift_monitor"]["tasks"]["emit"]["outlets"]
    uri = re.search(r"uri='([^']+)'", emitted)
    assert uri
    assert uri[1] in parsed["dags"]["retrain"]["schedule"]


def test_one_retraining_at_a_time(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["retrain"]["max_active_runs"] == 1


def test_the_steps_run_one_after_another(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["retrain"]["tasks"]
    assert list(tasks) == [*STEPS, "record_failure"]
    for before, step in pairwise(STEPS):
        assert before in tasks[step]["upstream"]


def test_close_also_follows_a_confirmation_that_was_skipped(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["retrain"]["tasks"]["close"]["trigger_rule"] == "none_failed_min_one_success"


def test_a_failure_of_any_step_is_recorded(parsed: dict[str, Any]) -> None:
    record = parsed["dags"]["retrain"]["tasks"]["record_failure"]
    assert record["trigger_rule"] == "one_failed"
    assert record["upstream"] == sorted(STEPS)


@pytest.mark.parametrize("dag_id", ["drift_monitor", "retrain", "approve", "watchdog", "prune"])
def test_only_what_may_pass_by_itself_is_retried(parsed: dict[str, Any], dag_id: str) -> None:
    for name, task in parsed["dags"][dag_id]["tasks"].items():
        assert task["retried"] == ["autoops.errors.Unavailable"]
        assert task["otherwise"] == "fail"
        assert (task["retries"] > 0) != (name == "confirm"), "confirm waits by itself"


@pytest.mark.parametrize("dag_id", ["drift_monitor", "retrain", "approve", "watchdog", "prune"])
def test_no_task_may_hold_up_later_runs_for_ever(parsed: dict[str, Any], dag_id: str) -> None:
    dag = parsed["dags"][dag_id]
    for name, task in dag["tasks"].items():
        assert task["timeout_s"], f"{dag_id}.{name} has no execution_timeout"
        assert task["timeout_s"] < dag["deadline_s"], "a task that hangs fails before its run ends: it can be told"


def test_what_trains_has_the_configured_time(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["retrain"]["tasks"]
    assert {tasks[name]["timeout_s"] for name in ("ingest", "train", "gate")} == {14_400}


def test_the_form_asks_for_months_reason_and_force_and_insists_on_none(parsed: dict[str, Any]) -> None:
    params = parsed["dags"]["retrain"]["params"]
    assert {name: param["value"] for name, param in params.items()} == {"months": None, "reason": None, "force": False}
    assert all("null" in params[name]["schema"]["type"] for name in ("months", "reason"))
    assert params["force"]["schema"]["type"] == "boolean"
    assert all(param["schema"]["title"] and param["description"] for param in params.values())


def test_an_approval_is_a_persons_and_needs_the_incident_and_a_reason(parsed: dict[str, Any]) -> None:
    approve = parsed["dags"]["approve"]
    assert "NullTimetable" in approve["schedule"]
    assert list(approve["tasks"]) == ["approve", "confirm", "close"]
    assert approve["tasks"]["confirm"]["upstream"] == ["approve"]
    assert "confirm" in approve["tasks"]["close"]["upstream"]
    assert {name: param["schema"]["type"] for name, param in approve["params"].items()} == {
        "incident": "integer",
        "reason": "string",
    }


@pytest.mark.parametrize(
    ("months", "fits"),
    [
        ("", True),
        ("2023-01", True),
        ("2022-11..2023-01", True),
        ("2022-11, 2023-01..2023-02", True),
        ("January", False),
        ("2023-1", False),
        ("2023-01..", False),
        ("2023-01;2023-02", False),
    ],
)
def test_the_form_takes_the_months_that_the_command_line_takes(parsed: dict[str, Any], months: str, fits: bool) -> None:
    pattern = parsed["dags"]["retrain"]["params"]["months"]["schema"]["pattern"]
    assert bool(re.search(pattern, months)) is fits
