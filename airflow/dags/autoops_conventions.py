"""What the files of this folder share."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context

INCIDENT = Asset(name="autoops_incident", uri="autoops://incident")

ONLY_UNAVAILABLE = ExceptionRetryPolicy(
    [RetryRule(exception="autoops.errors.Unavailable", reason="an outside system did not answer")],
    default=RetryAction.FAIL,
)
"""What may pass by itself is tried again; anything else would fail the same way."""

TASK_TIMEOUT = timedelta(minutes=15)
"""Of whatever does not train. A task that hangs would hold up every later run of its DAG."""

ROUTINE: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "dagrun_timeout": timedelta(hours=1),
    "tags": ["autoops"],
    "default_args": {
        "retries": 1,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": TASK_TIMEOUT,
        "retry_policy": ONLY_UNAVAILABLE,
    },
}
"""Of a DAG that looks after things again and again: one look at a time, and what was missed is not made up for."""


def actor() -> str:
    """Who started the run, for the ledger; an asset has no name."""
    who = get_current_context()["dag_run"].triggering_user_name
    return f"airflow:{who}" if who else "airflow"
