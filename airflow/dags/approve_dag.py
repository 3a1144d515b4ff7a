"""`approve`: a person's yes to a version that the gate let through."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

sys.path.append(str(Path(__file__).parent))  # Airflow adds only the root of its DAGs folder
from autoops_conventions import ONLY_UNAVAILABLE, TASK_TIMEOUT, actor

DOC = """
### A person's yes to a version that the gate let through
With `training.approval`, or while the loop is frozen, `retrain` stops before the promotion and its incident waits.
*Trigger* this DAG with the incident's number and your reason; both stand in the ledger with your name.

* **approve** promotes the version. It fails where nothing waits for approval, or where the gate compared with a
  version that is champion no more.
* **confirm** waits until every API instance serves the version.
* **close** closes the incident with what became of it.

To say no, close the incident: `autoops close INCIDENT --reason "..."`.
"""


@dag(
    dag_id="approve",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    doc_md=DOC,
    tags=["autoops"],
    params={
        "incident": Param(
            type="integer",
            minimum=1,
            maximum=2**31 - 1,
            title="Incident",
            description="The number of the one that waits.",
        ),
        "reason": Param(type="string", minLength=1, title="Reason", description="Why; it stands in the ledger."),
    },
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=15),
        "execution_timeout": TASK_TIMEOUT,
        "retry_policy": ONLY_UNAVAILABLE,
    },
)
def approve_version() -> None:
    @task(multiple_outputs=False)
    def approve() -> dict[str, Any]:
        from autoops import bootstrap
        from autoops.loop.retrain import approval
        from autoops.telemetry import logs

        form = get_current_context()["params"]
        logs.bind(incident_id=form["incident"])
        return approval.approve(bootstrap.context(), form["incident"], reason=form["reason"], actor=actor())

    @task(multiple_outputs=False, retries=0)
    def confirm(approved: dict[str, Any]) -> dict[str, Any]:
        from autoops import bootstrap
        from autoops.loop.retrain import retraining

        return retraining.confirm(bootstrap.context(), approved["plan"], approved["promotion"]["version"])

    @task(multiple_outputs=False)
    def close(approved: dict[str, Any]) -> dict[str, Any]:
        from autoops import bootstrap
        from autoops.loop.retrain import retraining

        return retraining.close(bootstrap.context(), approved["plan"], approved["promotion"])

    approved = approve()
    confirm(approved) >> close(approved)


approve_version()
