"""A retraining by hand with its form filled in, and two runs side by side."""

from tests.stack.api import Api
from tests.stack.compose import Stack
from tests.stack.dags import RETRAIN, Dags
from tests.stack.mlflow import TRAINING, Mlflow
from tests.stack.waiting import eventually

FORM = {"months": "2023-04..2023-05", "reason": "two months will do", "force": True}


def test_the_form_is_obeyed(dags: Dags, api: Api, mlflow: Mlflow) -> None:
    before = mlflow.champion()
    run_id = dags.retrain(FORM)
    assert dags.airflow.run(RETRAIN, run_id).conf == FORM
    plan, verdict, promotion = (dags.xcom(RETRAIN, run_id, task) for task in ("begin", "gate", "promote"))
    assert plan["months"] == ["2023-04", "2023-05"]

    assert verdict["decision"] != "promote"
    assert promotion == {"promoted": True, "version": before + 1, "reason": promotion["reason"]}
    assert promotion["reason"].startswith("forced")
    assert mlflow.champion() == before + 1
    assert mlflow.champion("previous") == before
    eventually(lambda: api.served() == before + 1, 60, "the promoted version answers")


def test_what_was_asked_for_stands_in_mlflow(stack: Stack, dags: Dags, mlflow: Mlflow) -> None:
    run_id = dags.airflow.runs(RETRAIN)[0].run_id
    version = mlflow.versions()[mlflow.champion()]
    wanted = {
        "training_months": "2023-04,2023-05",
        "trigger": "manual",
        "retrain_run": run_id,
        "incident": str(dags.xcom(RETRAIN, run_id, "begin")["incident_id"]),
        "git_commit": stack.env["GIT_COMMIT"],
    }
    assert wanted.items() <= version["tags"].items()
    assert wanted.items() <= mlflow.run(version["run_id"])["tags"].items()


def test_two_runs_can_be_compared(mlflow: Mlflow) -> None:
    """Each version has its run; the same metrics and parameters stand on both, with other values for other months."""
    versions, runs = mlflow.versions(), mlflow.runs(TRAINING)
    assert sorted(version["run_id"] for version in versions.values()) == sorted(runs)
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    first, last = (runs[versions[number]["run_id"]] for number in (1, max(versions)))
    assert first["params"] == last["params"]
    assert {"mae", "r2"} <= {name.removeprefix("holdout_") for name in first["metrics"]}
    assert first["metrics"] != last["metrics"]
    assert first["tags"]["training_months"] == "2023-01,2023-02,2023-03"
