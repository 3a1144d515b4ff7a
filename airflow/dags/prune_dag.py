"""`prune`: old predictions, reports, models, months and Airflow's own records are deleted once a day."""

import sys
from datetime import timedelta
from pathlib import Path

from airflow.sdk import TriggerRule, dag, task

sys.path.append(str(Path(__file__).parent))  # Airflow adds only the root of its DAGs folder
from autoops_conventions import ROUTINE

DOC = """
### Keep the disk from filling
Runs once a day and deletes what is older than the settings `storage.retention_days`, `reports_days`, `versions_days`,
`months_kept` and `airflow_days` keep it. The ledger and all incidents stay.

* **prune_loop** deletes predictions with their ground truth, reports here and in MLflow, models of old versions, and
  cleaned months. It logs how many of each.
* **prune_airflow** deletes old runs by `airflow db clean`, and old log files, whether the first task succeeded or not.

`autoops prune` does the same by hand.
"""


@dag(
    dag_id="prune",
    # A time of day, because an interval would begin with a run at the first start, beside everything that comes up.
    schedule="17 3 * * *",
    doc_md=DOC,
    **{
        **ROUTINE,
        "dagrun_timeout": timedelta(hours=6),
        "default_args": ROUTINE["default_args"] | {"execution_timeout": timedelta(hours=2)},
    },
)
def prune() -> None:
    @task
    def prune_loop() -> dict[str, int]:
        from autoops import bootstrap
        from autoops.loop import housekeeping

        return {swept.what: swept.deleted for swept in housekeeping.prune(bootstrap.context())}

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def prune_airflow() -> int | None:
        from autoops.clock import SystemClock
        from autoops.services import airflow_records
        from autoops.settings import load_settings

        return airflow_records.prune(load_settings(), SystemClock())

    prune_loop() >> prune_airflow()


prune()
