"""The loop by itself: a steady month is left alone, a changed one leads to version 2 while clients go on asking.

Months are replayed and published by this test; what is done about them is the schedule's and the asset's doing.
"""

from tests.stack.api import Api
from tests.stack.compose import Stack
from tests.stack.dags import CHECK_S, RETRAIN, Check, Dags
from tests.stack.mlflow import MONITORING, Mlflow
from tests.stack.traffic import Traffic
from tests.stack.waiting import eventually
from tests.stack.world import CHANGED, REPLAYED, STEADY, World


def judged(checks: list[Check]) -> list[Check]:
    return [check for check in checks if check.judged]


def test_a_steady_month_is_judged_and_nothing_happens(world: World, api: Api, dags: Dags, mlflow: Mlflow) -> None:
    assert judged(dags.checks()) == []
    played = world.replay(STEADY)
    assert (played["failed"], played["labels"]) == (0, REPLAYED)
    assert [(month["month"], month["model_version"]) for month in played["months"]] == [(STEADY, 1)]

    world.publish(STEADY)
    eventually(lambda: judged(dags.checks()), CHECK_S, "a scheduled check that judges the steady month")
    eventually(lambda: not dags.checks()[-1].judged, CHECK_S, "a check that finds all of it judged")
    for check in judged(dags.checks()):
        assert (check.verdict, check.alarm, check.incident_id, check.emitted) == ("no drift", False, None, "skipped")
    assert dags.airflow.runs(RETRAIN) == []

    assert {run["tags"]["verdict"] for run in mlflow.runs(MONITORING).values()} == {"no drift"}
    assert api.served() == 1


def test_a_changed_month_leads_to_version_2_and_no_request_is_lost(
    stack: Stack, world: World, api: Api, dags: Dags, mlflow: Mlflow
) -> None:
    before = len(dags.checks())
    with Traffic(stack) as traffic:
        played = world.replay(CHANGED)
        assert played["failed"] == 0
        world.publish(CHANGED)
        eventually(lambda: any(c.emitted == "success" for c in dags.checks()), CHECK_S, "an event of the monitor")
        (run,) = eventually(lambda: dags.airflow.runs(RETRAIN), CHECK_S, "a retraining on the event")
        ended = dags.ended(run.run_id)
        assert (ended.run_type, ended.state) == ("asset_triggered", "success"), dags.failures(run.run_id)
        assert api.served() == 2
        traffic.flow()

    assert any(check.alarm and check.incident_id for check in dags.checks()[before:])
    states = dags.airflow.task_states(RETRAIN, run.run_id)
    assert states.pop("record_failure") == "skipped"
    assert set(states.values()) == {"success"}
    assert (mlflow.champion(), mlflow.champion("previous")) == (2, 1)
    tags = mlflow.versions()[2]["tags"]
    assert (tags["trigger"], tags["gate_decision"]) == ("incident", "promote")
    assert tags["training_months"].endswith(CHANGED)

    assert traffic.failures == []
    assert traffic.versions == [1, 2]
    assert api.lost([answer.prediction_id for answer in traffic.answers]) == []


def test_the_loop_comes_to_rest(dags: Dags, api: Api) -> None:
    """The incident is closed, the new version finds nothing new to judge."""
    check = dags.next_check()
    assert (check.judged, check.emitted) == (False, "skipped")
    assert len(dags.airflow.runs(RETRAIN)) == 1
    assert api.served() == 2
