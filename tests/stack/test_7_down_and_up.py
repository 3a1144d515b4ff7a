"""Down and up again: all state is there."""

from typing import Any

from tests.stack.api import Api
from tests.stack.compose import WELL_S, Stack
from tests.stack.dags import RETRAIN, Dags
from tests.stack.mlflow import MONITORING, TRAINING, Mlflow
from tests.stack.waiting import eventually

ASKED_BEFORE = "asked-before-the-stack-went-down"


def state(dags: Dags, mlflow: Mlflow) -> dict[str, Any]:
    return {
        "champion": mlflow.champion(),
        "versions": mlflow.versions(),
        "training runs": mlflow.runs(TRAINING),
        "checks": mlflow.runs(MONITORING),
        "retrainings": dags.airflow.runs(RETRAIN),
    }


def test_everything_is_still_there(stack: Stack, dags: Dags, api: Api, mlflow: Mlflow) -> None:
    asked = api.predict(ASKED_BEFORE)
    checks = {check.run_id for check in dags.checks()}
    before = state(dags, mlflow)

    stack.compose("down")
    assert stack.containers() == []
    stack.up()
    eventually(api.predict, WELL_S, "a prediction")
    stack.wait_until_well()

    assert state(dags, mlflow) == before
    assert checks <= {run.run_id for run in dags.airflow.runs("drift_monitor")}
    assert api.served() == before["champion"]
    again = api.predict(ASKED_BEFORE)
    assert again == asked | {"repeated": True}
    assert api.lost([asked["prediction_id"]]) == []
    dags.next_check()
