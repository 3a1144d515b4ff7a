"""Three replicas of the API are one to their clients and to the pipeline."""

import json

import httpx
import pytest

from tests.stack.api import Api
from tests.stack.compose import Container, Stack
from tests.stack.dags import RETRAIN, Dags
from tests.stack.mlflow import Mlflow
from tests.stack.traffic import Traffic
from tests.stack.waiting import eventually

REPLICAS = 3
FORCED = {"months": "2023-05", "reason": "for all replicas", "force": True}
ASK_HERE = """
import json, sys, urllib.request
trip = {"pickup_at": "2023-05-09T10:00:00", "trip_distance": 2.5, "pickup_location_id": 74, "dropoff_location_id": 41}
headers = {"Content-Type": "application/json", "Authorization": sys.argv[1]}
request = urllib.request.Request("http://127.0.0.1:8000/predict", json.dumps(trip).encode(), headers)
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""


def versions_seen(stack: Stack) -> list[float]:
    """What each replica serves, as Prometheus has it from scraping them."""
    parameters = {"query": 'autoops_model_version and on(instance) up{job="api"} == 1'}
    answer = httpx.get(f"{stack.url('PROMETHEUS')}/api/v1/query", params=parameters, timeout=30)
    return [float(series["value"][1]) for series in answer.raise_for_status().json()["data"]["result"]]


def ask(stack: Stack, replica: Container) -> dict[str, object]:
    """A prediction of this very replica, past the gateway."""
    answer: dict[str, object] = json.loads(
        stack.run_in(replica, f"exec python - \"$1\" <<'ASK'{ASK_HERE}ASK", stack.api_headers["Authorization"])
    )
    return answer


@pytest.fixture(scope="module")
def replicas(stack: Stack) -> list[Container]:
    stack.up("--no-recreate", "--scale", f"api={REPLICAS}")
    stack.wait_until_well()
    return stack.containers("api")


def test_all_replicas_serve_the_champion(stack: Stack, replicas: list[Container], mlflow: Mlflow) -> None:
    assert len(replicas) == REPLICAS
    champion = mlflow.champion()
    eventually(lambda: versions_seen(stack) == [champion] * REPLICAS, 120, "Prometheus sees all replicas")


def test_the_gateway_spreads_requests_over_all(replicas: list[Container], api: Api) -> None:
    asked = [api.info()["instance_id"] for _ in range(20 * REPLICAS)]
    assert len(set(asked)) == REPLICAS


def test_a_retraining_waits_for_every_replica_and_no_request_is_lost(
    stack: Stack, replicas: list[Container], api: Api, dags: Dags, mlflow: Mlflow
) -> None:
    before = mlflow.champion()
    with Traffic(stack) as traffic:
        run_id = dags.retrain(FORCED)
        traffic.flow()
    confirmed = dags.xcom(RETRAIN, run_id, "confirm")
    assert (confirmed["instances"], confirmed["model_version"]) == (REPLICAS, before + 1)
    assert {ask(stack, replica)["model_version"] for replica in replicas} == {before + 1}
    assert traffic.failures == []
    assert {answer.model_version for answer in traffic.answers} == {before, before + 1}
    assert api.lost([answer.prediction_id for answer in traffic.answers]) == []


def test_what_any_replica_answered_is_known_to_all(stack: Stack, replicas: list[Container], api: Api) -> None:
    answered = [str(ask(stack, replica)["prediction_id"]) for replica in replicas]
    eventually(lambda: api.lost(answered) == [], 30, "what waited in outboxes is in the log")
    for _ in range(2 * REPLICAS):
        assert api.lost(answered) == []


def test_back_to_one_replica_without_a_lost_request(stack: Stack, replicas: list[Container], api: Api) -> None:
    with Traffic(stack) as traffic:
        traffic.flow()
        stack.up("--no-recreate", "--no-deps", "--scale", "api=1", "api")
        traffic.flow()
    assert traffic.failures == []
    assert api.lost([answer.prediction_id for answer in traffic.answers]) == []
    stack.wait_until_well()
    assert len(stack.containers("api")) == 1
