"""What Airflow's DAGs did, over its REST API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from autoops.errors import NotFound
from autoops.services.airflow import AirflowClient, DagRun
from tests.stack.waiting import eventually

MONITOR, RETRAIN = "drift_monitor", "retrain"
JUDGED = ("drift", "no drift")
CHECK_S, RETRAINING_S = 300, 600


@dataclass(frozen=True)
class Check:
    """What the task `check` of a scheduled run returned, and whether the run sent an event."""

    run_id: str
    verdict: str
    alarm: bool
    reason: str
    incident_id: int | None
    emitted: str | None

    @property
    def judged(self) -> bool:
        return self.verdict in JUDGED


class Dags:
    def __init__(self, airflow: AirflowClient) -> None:
        self.airflow = airflow
        self._checks: dict[str, Check] = {}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.airflow.call("GET", path)["value"]

    def checks(self) -> list[Check]:
        """Of the scheduled runs that have ended well, oldest first."""
        for run in reversed(self.airflow.runs(MONITOR)):
            if (run.run_type, run.state) == ("scheduled", "success") and run.run_id not in self._checks:
                returned = self.xcom(MONITOR, run.run_id, "check")
                self._checks[run.run_id] = Check(
                    run.run_id,
                    returned["verdict"],
                    returned["alarm"],
                    returned["reason"],
                    returned.get("incident_id"),
                    self.airflow.task_states(MONITOR, run.run_id)["emit"],
                )
        return list(self._checks.values())

    def next_check(self) -> Check:
        """Of the first scheduled run that is created after now."""
        known = {run.run_id for run in self.airflow.runs(MONITOR)}
        found = eventually(
            lambda: [check for check in self.checks() if check.run_id not in known],
            CHECK_S,
            "a scheduled check",
        )
        return found[0]

    def ended(self, run_id: str) -> DagRun:
        """The retraining, once it is over."""
        eventually(lambda: self.airflow.run(RETRAIN, run_id).finished, RETRAINING_S, f"the end of {run_id}")
        return self.airflow.run(RETRAIN, run_id)

    def failures(self, run_id: str) -> dict[str, str]:
        """What each failed task of a retraining left as its reason."""
        states = self.airflow.task_states(RETRAIN, run_id)
        reasons = {}
        for task_id in [task_id for task_id, state in states.items() if state == "failed"]:
            try:
                reasons[task_id] = str(self.xcom(RETRAIN, run_id, task_id, "error"))
            except NotFound:
                reasons[task_id] = "no reason given"
        return reasons

    def retrain(self, conf: Mapping[str, Any]) -> str:
        """Run id of a retraining by hand that has ended well."""
        run_id: str = self.airflow.trigger(RETRAIN, conf)
        assert self.ended(run_id).state == "success", self.failures(run_id)
        return run_id
