"""Run by a test in a process of its own: `dag.test()` of all DAGs on a real pipeline; prints what became of each run.

Arguments: the DAGs folder, and the forms of the `retrain` runs as a JSON list. drift_monitor runs before and after
them; `approve` puts version 1 back, for which an incident was made to wait; `watchdog` tells of all that, and `prune`
deletes nothing but an old log file."""

import json
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG
from instance import an_instance

from autoops.bootstrap import context


def outcome(dag: DAG, form: dict[str, object] | None = None) -> dict[str, object]:
    run = dag.test(run_conf=form)
    tasks = {instance.task_id: instance.state for instance in run.get_task_instances()}
    return {"run_id": run.run_id, "state": run.state, "tasks": tasks}


def waiting_for_approval() -> int:
    """An incident as `retrain` leaves it where a person has to say yes."""
    ledger, verdict = context().ledger, {"decision": "promote", "reason": "much better", "champion": 2}
    incident_id = ledger.open_incident("drift", "slower", actor="test")
    ledger.record("gate", "promote", actor="test", incident_id=incident_id, model_version=1, evidence=verdict)
    ledger.set_status(incident_id, "waiting_for_approval", "somebody should look", actor="test")
    return incident_id


def main(folder: str, forms: str) -> None:
    dags = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="autoops").dags
    with an_instance(context(migrate=True)):
        runs = [outcome(dags["drift_monitor"])]
        runs += [outcome(dags["retrain"], form) for form in json.loads(forms)]
        runs += [outcome(dags["drift_monitor"])]
        runs += [outcome(dags["approve"], {"incident": waiting_for_approval(), "reason": "I looked"})]
        runs += [outcome(dags["watchdog"])]
        runs += [outcome(dags["prune"])]
    print("\n" + json.dumps(runs))


if __name__ == "__main__":
    main(*sys.argv[1:])
