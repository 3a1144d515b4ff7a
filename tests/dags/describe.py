"""Run by a test in a process of its own: prints what Airflow finds in a DAGs folder, and what that costs, as JSON."""

import json
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG

HEAVY = {"mlflow", "sklearn", "pandas", "pyarrow", "onnxruntime", "skl2onnx", "evidently", "matplotlib", "fastapi"}


def describe(dag: DAG) -> dict[str, object]:
    return {
        "schedule": str(dag.timetable),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "deadline_s": dag.dagrun_timeout and dag.dagrun_timeout.total_seconds(),
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "params": {name: dag.params.get_param(name).dump() for name in dag.params},
        "tasks": {
            task.task_id: {
                "upstream": sorted(task.upstream_task_ids),
                "trigger_rule": str(task.trigger_rule.value),
                "outlets": [str(outlet) for outlet in task.outlets],
                "timeout_s": task.execution_timeout and task.execution_timeout.total_seconds(),
                "retries": task.retries,
                "retried": [rule.exception_path for rule in task.retry_policy.rules],
                "otherwise": task.retry_policy.default.value,
            }
            for task in dag.tasks
        },
    }


def main(folder: str) -> None:
    before = set(sys.modules)
    bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="autoops")
    json.dump(
        {
            "errors": bag.import_errors,
            "dags": {dag_id: describe(dag) for dag_id, dag in bag.dags.items()},
            "seconds": {stat.file: stat.duration.total_seconds() for stat in bag.dagbag_stats},
            "heavy": sorted(HEAVY & (set(sys.modules) - before)),
            "ours": sorted(name for name in sys.modules if name.startswith("autoops.")),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
