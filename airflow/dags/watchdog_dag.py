"""`watchdog`: does the monitor still check, does the API serve the champion, and have people been told?"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import TriggerRule, dag, task

from autoops.settings import load_settings

sys.path.append(str(Path(__file__).parent))  # Airflow adds only the root of its DAGs folder
from autoops_conventions import ROUTINE

DOC = """
### Who watches the monitor, and who tells people
Runs every `alerts.interval_s` seconds, beside the loop, which never waits for it.

* **watch** looks for what cannot report itself: a monitor that has missed `alerts.missed_checks` checks, and an API
  that does not serve the champion. Both stand in the ledger when they begin and when they end.
* **tell** sends what the ledger has that people were not told yet to `alerts.urls`, within bounds. A receiver that does
  not answer is tried again by the next run, and keeps nothing else waiting.

It cannot tell that Airflow itself is down: run `autoops alerts send` from somewhere else for that.
"""


@dag(
    dag_id="watchdog",
    schedule=timedelta(seconds=load_settings().alerts.interval_s),
    doc_md=DOC,
    **ROUTINE,
)
def watchdog() -> None:
    @task
    def watch() -> list[str]:
        from autoops import bootstrap
        from autoops.alerts import watch

        return watch.watch(bootstrap.context())

    @task(multiple_outputs=False, trigger_rule=TriggerRule.ALL_DONE)
    def tell() -> dict[str, Any]:
        from autoops import bootstrap
        from autoops.alerts import rounds

        return rounds.tell(bootstrap.alerts()).to_json()

    watch() >> tell()


watchdog()
