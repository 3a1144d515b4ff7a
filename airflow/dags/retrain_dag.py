"""`retrain`: a challenger, the gate and, where it is better, a promotion."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from autoops.settings import load_settings

sys.path.append(str(Path(__file__).parent))  # Airflow adds only the root of its DAGs folder
from autoops_conventions import INCIDENT, ONLY_UNAVAILABLE, TASK_TIMEOUT, actor

DOC = """
### A challenger, the gate and, where it is better, a promotion
Starts on an `autoops_incident` event of `drift_monitor`, or by hand (*Trigger*) with the form.

* **begin** claims the incident in the ledger. Where another run holds it, this run is skipped: whatever is triggered
  twice or retried trains and promotes once. A run by hand opens an incident of its own.
* **ingest**, **validate**, **train**, **gate**, **promote** each run one step. Broken data ends the run here. In an
  interim re-evaluation (kind `re-evaluation`) **train** trains nothing: the gate compares the champion once more with
  the challenger that waits, on all published trips that neither was trained on.
* **confirm** waits until every API instance serves the new version; skipped when nothing was promoted.
* **close** closes the incident with what became of it.
* **record_failure** runs when any task failed or took longer than `training.timeout_s`: it writes to the ledger which
  one, and why. The incident stays open; clear the failed task to go on from there, or run
  `autoops retrain --incident INCIDENT`, or `autoops close INCIDENT --reason "..."`.
"""

MONTHS = r"^$|^\d{4}-\d{2}(\.\.\d{4}-\d{2})?(\s*,\s*\d{4}-\d{2}(\.\.\d{4}-\d{2})?)*$"
logger = logging.getLogger("autoops.dags.retrain")

TRAINING = load_settings().training
LONG = timedelta(seconds=TRAINING.timeout_s)
"""Of a step that fetches months, fits or scores."""

STEPS = ("begin", "ingest", "validate", "train", "gate", "promote", "confirm", "close")


@contextmanager
def loop(plan: dict[str, Any] | None = None) -> Iterator[tuple[Any, Any]]:
    """The steps and the adapters that they work on; imported here, because at the top of the file every parse
    would pay for it. From here on each line of the step names the incident. What goes wrong is such a line, because
    Airflow's own names no incident, and is left as an XCom for `record_failure`."""
    from autoops import bootstrap
    from autoops.loop.retrain import retraining
    from autoops.telemetry import logs

    if plan is not None:
        logs.bind(incident_id=plan["incident_id"])
    try:
        yield retraining, bootstrap.context()
    except Exception as error:
        if plan is not None:
            logger.exception("the step failed")
        get_current_context()["ti"].xcom_push("error", f"{type(error).__name__}: {error}")
        raise


def incidents() -> list[int]:
    """The incidents of the asset events that started this run, newest first; none in a run by hand."""
    events = [event for some in get_current_context()["triggering_asset_events"].values() for event in some]
    named = [event.extra.get("incident_id") for event in events]
    if not all(isinstance(incident_id, int) for incident_id in named):
        raise AirflowFailException(f"an asset event must name its incident_id, a number; got {named}")
    return sorted(set(named), reverse=True)


@task(multiple_outputs=False, execution_timeout=LONG)
def begin() -> dict[str, Any]:
    from autoops.errors import Conflict
    from autoops.telemetry import logs

    running, held = get_current_context(), []
    form = running["params"]
    for incident_id in incidents() or [None]:
        try:
            with loop() as (steps, context):
                plan = steps.begin(
                    context,
                    running["run_id"],
                    incident_id=incident_id,
                    months=form["months"] or None,
                    reason=form["reason"] or "",
                    force=form["force"],
                    actor=actor(),
                )
                logs.bind(incident_id=plan["incident_id"])
                return plan
        except Conflict as claimed:
            held.append(str(claimed))
    raise AirflowSkipException("; ".join(held))


@task(multiple_outputs=False, execution_timeout=LONG)
def ingest(plan: dict[str, Any]) -> dict[str, Any]:
    with loop(plan) as (steps, context):
        return steps.ingest(context, plan)


@task(multiple_outputs=False, execution_timeout=LONG)
def validate(plan: dict[str, Any]) -> dict[str, Any]:
    with loop(plan) as (steps, context):
        return steps.validate(context, plan)


@task(execution_timeout=LONG)
def train(plan: dict[str, Any]) -> int:
    with loop(plan) as (steps, context):
        return steps.train(context, plan)


@task(multiple_outputs=False, execution_timeout=LONG)
def gate(plan: dict[str, Any], version: int) -> dict[str, Any]:
    with loop(plan) as (steps, context):
        return steps.gate(context, plan, version)


@task(multiple_outputs=False)
def promote(plan: dict[str, Any], version: int, verdict: dict[str, Any]) -> dict[str, Any]:
    with loop(plan) as (steps, context):
        return steps.promote(context, plan, version, verdict)


@task(multiple_outputs=False, retries=0)
def confirm(plan: dict[str, Any], promotion: dict[str, Any]) -> dict[str, Any]:
    if not promotion["promoted"]:
        raise AirflowSkipException(f"nothing to serve: {promotion['reason']}")
    with loop(plan) as (steps, context):
        return steps.confirm(context, plan, promotion["version"])


@task(multiple_outputs=False, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def close(plan: dict[str, Any], promotion: dict[str, Any]) -> dict[str, Any]:
    with loop(plan) as (steps, context):
        return steps.close(context, plan, promotion)


@task(trigger_rule=TriggerRule.ONE_FAILED)
def record_failure() -> None:
    running = get_current_context()
    ti, run_id = running["ti"], running["run_id"]
    states = ti.get_task_states(dag_id="retrain", task_ids=list(STEPS), run_ids=[run_id])[run_id]
    failed = [step for step in STEPS if states.get(step) == "failed"]
    errors = {step: ti.xcom_pull(task_ids=step, key="error") or "see its log" for step in failed}
    what = "; ".join(f"{step} ({error})" for step, error in errors.items())
    with loop() as (steps, context):
        claimed = context.ledger.claimed_by(run_id, steps.ACTION)
        for incident_id in [claimed] if claimed else incidents():
            steps.record_failure(context, incident_id, run_id, what)
    raise AirflowFailException(f"failed at {what}")


@dag(
    dag_id="retrain",
    schedule=[INCIDENT],
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(seconds=TRAINING.run_timeout_s),
    doc_md=DOC,
    tags=["autoops"],
    params={
        # Without null, the form would insist on a value.
        "months": Param(
            None,
            type=["null", "string"],
            pattern=MONTHS,
            title="Months",
            description="Train on these, such as 2022-11..2023-01 or 2022-11,2023-01. Empty: the newest published.",
        ),
        "reason": Param(
            None, type=["null", "string"], title="Reason", description="Stands in the ledger, with the incident."
        ),
        "force": Param(
            False,
            type="boolean",
            title="Force",
            description="Promote the new version whatever the gate says of it; asks for a reason.",
        ),
    },
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=15),
        "execution_timeout": TASK_TIMEOUT,
        "retry_policy": ONLY_UNAVAILABLE,
    },
)
def retrain() -> None:
    plan = begin()
    ingested, validated, version = ingest(plan), validate(plan), train(plan)
    verdict = gate(plan, version)
    promotion = promote(plan, version, verdict)
    confirmed, closed = confirm(plan, promotion), close(plan, promotion)
    ingested >> validated >> version
    confirmed >> closed
    [plan, ingested, validated, version, verdict, promotion, confirmed, closed] >> record_failure()


retrain()
