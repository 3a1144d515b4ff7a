"""What the files of this folder share."""

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context

INCIDENT = Asset(name="autoops_incident", uri="autoops://incident")

ONLY_UNAVAILABLE = ExceptionRetryPolicy(
    [RetryRule(exception="autoops.errors.Unavailable", reason="an outside system did not answer")],
    default=RetryAction.FAIL,
)
"""What may pass by itself is tried again; anything else would fail the same way."""


def actor() -> str:
    """Who started the run, for the ledger; an asset has no name."""
    who = get_current_context()["dag_run"].triggering_user_name
    return f"airflow:{who}" if who else "airflow"
