"""`drift_monitor`: is the champion still right?"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import dag, get_current_context, task

from autoops.settings import load_settings

sys.path.append(str(Path(__file__).parent))  # Airflow adds only the root of its DAGs folder
from autoops_conventions import INCIDENT, ROUTINE

DOC = """
### Is the champion still right?
Judge the newest window of the champion's predictions every `drift.check_interval_s` seconds, and record the verdict in
the ledger and in MLflow.

* **check** judges, decides and records. Too little data, or no new data, is a verdict of its own. Newly published
  months open incidents without an alarm: an *interim re-evaluation* (kind `re-evaluation`) of a challenger that the
  gate could not tell from the champion, when the days that it asked for are published, and a *scheduled retraining*
  (kind `scheduled`): with the next month after a promotion, later after comparisons that promoted nothing.
* **incident_to_act_on** ends the run here, unless an incident is ready for `retrain`: one whose evidence the
  published months contain. Others wait for data; each run checks them.
* **emit** sends one `autoops_incident` event per incident, which starts `retrain`. It is a task of its own because an
  outlet fires on every success of its task.
"""


@dag(
    dag_id="drift_monitor",
    schedule=timedelta(seconds=load_settings().drift.check_interval_s),
    doc_md=DOC,
    **ROUTINE,
)
def drift_monitor() -> None:
    @task(multiple_outputs=False)
    def check() -> dict[str, Any]:
        from autoops import bootstrap
        from autoops.loop.monitor import drift_check

        return drift_check.check(bootstrap.context())

    @task.short_circuit
    def incident_to_act_on(checked: dict[str, Any]) -> list[int]:
        return checked["actionable"]

    @task(outlets=[INCIDENT], map_index_template="incident {{ incident_id }}")
    def emit(incident_id: int) -> None:
        from autoops.telemetry import logs

        logs.bind(incident_id=incident_id)
        get_current_context()["outlet_events"][INCIDENT].extra = {"incident_id": incident_id}

    emit.expand(incident_id=incident_to_act_on(check()))


drift_monitor()
