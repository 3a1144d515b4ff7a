"""Break it: the stack comes back by itself, and what was acknowledged is still known."""

import time

from tests.stack.api import Api
from tests.stack.compose import Container, Stack
from tests.stack.dags import RETRAIN, Dags
from tests.stack.mlflow import Mlflow
from tests.stack.traffic import Traffic
from tests.stack.waiting import eventually

MINUTE_S = 60
KILL_THE_SERVER = "kill -9 $(cat /proc/1/task/1/children)"
FORCED = {"months": "2023-05", "reason": "while the scheduler restarts", "force": True}


def well_again(stack: Stack, dags: Dags) -> None:
    """Every service healthy, and the schedule goes on: a run that began after now ends well."""
    stack.wait_until_well()
    dags.next_check()


def restarts(stack: Stack, container: Container) -> int:
    count: int = stack.inspect(container)["RestartCount"]
    return count


def test_nothing_has_restarted_by_itself_so_far(stack: Stack) -> None:
    assert {container.name: restarts(stack, container) for container in stack.containers()} == dict.fromkeys(
        (container.name for container in stack.containers()), 0
    )


def test_a_killed_api_comes_back_and_lost_nothing_that_it_answered(stack: Stack, dags: Dags, api: Api) -> None:
    served = api.served()
    (container,) = stack.containers("api")
    with Traffic(stack) as traffic:
        traffic.flow()
        stack.run_in(container, KILL_THE_SERVER)
        eventually(lambda: restarts(stack, container) == 1, 60, "the engine restarts the container")
        traffic.flow()
    assert {answer.model_version for answer in traffic.answers} == {served}
    assert api.lost([answer.prediction_id for answer in traffic.answers]) == []
    well_again(stack, dags)


def test_a_restarted_postgres_stops_nobody_and_lost_nothing(stack: Stack, dags: Dags, api: Api) -> None:
    with Traffic(stack) as traffic:
        traffic.flow()
        stack.compose("restart", "postgres")
        traffic.flow()
    assert traffic.failures == []
    asked = [answer.prediction_id for answer in traffic.answers]
    eventually(lambda: api.lost(asked) == [], 60, "what waited in outboxes is in the log")
    well_again(stack, dags)


def test_without_mlflow_every_request_is_answered(stack: Stack, dags: Dags, api: Api) -> None:
    """For a minute, which is thirty looks at the registry."""
    served = api.served()
    with Traffic(stack) as traffic:
        stack.compose("stop", "mlflow")
        down_since = time.monotonic()
        while time.monotonic() < down_since + MINUTE_S:
            traffic.flow()
        stack.compose("start", "mlflow")
        stack.wait_until_well()
        traffic.flow()
    assert traffic.failures == []
    assert traffic.versions == [served]
    well_again(stack, dags)


def test_a_retraining_survives_a_restart_of_the_scheduler(stack: Stack, dags: Dags, api: Api, mlflow: Mlflow) -> None:
    before = mlflow.versions()
    run_id = dags.airflow.trigger(RETRAIN, FORCED)
    eventually(lambda: dags.airflow.task_states(RETRAIN, run_id)["train"] == "running", 120, "the training runs")
    stack.compose("restart", "airflow-scheduler")
    assert dags.ended(run_id).state == "success", dags.failures(run_id)
    (new,) = mlflow.versions().keys() - before.keys()
    assert mlflow.versions()[new]["tags"]["retrain_run"] == run_id
    assert mlflow.champion() == new
    eventually(lambda: api.served() == new, 60, "the promoted version answers")
    well_again(stack, dags)
