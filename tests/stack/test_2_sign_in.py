"""Who may come in, and under which name."""

import httpx

from autoops.services.airflow import AirflowClient
from tests.stack.compose import Stack
from tests.stack.dags import MONITOR, RETRAIN
from tests.stack.waiting import eventually

EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"


def airflow_token(stack: Stack, password: str) -> httpx.Response:
    body = {"username": "admin", "password": password}
    return httpx.post(f"{stack.url('AIRFLOW')}/auth/token", json=body, timeout=30)


def experiments(stack: Stack, password: str | None, host: str = "") -> int:
    auth = None if password is None else ("admin", password)
    headers = {"Host": host} if host else {}
    return httpx.get(stack.url("MLFLOW") + EXPERIMENTS, auth=auth, headers=headers, timeout=30).status_code


def test_airflow_knows_its_user_only(stack: Stack) -> None:
    assert airflow_token(stack, stack.env["AIRFLOW_PASSWORD"]).status_code == httpx.codes.CREATED
    for password in ("admin", "airflow", stack.env["MLFLOW_PASSWORD"]):
        assert airflow_token(stack, password).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(f"{stack.url('AIRFLOW')}/api/v2/dags").status_code == httpx.codes.UNAUTHORIZED


def test_both_dags_are_read_and_run(airflow: AirflowClient) -> None:
    eventually(lambda: airflow.runs(MONITOR), 300, "a scheduled run of the monitor")
    assert airflow.import_errors() == {}
    assert [airflow.dag(dag_id)["is_paused"] for dag_id in (MONITOR, RETRAIN)] == [False, False]
    assert airflow.runs(RETRAIN) == []


def test_mlflow_knows_its_user_only(stack: Stack) -> None:
    assert experiments(stack, stack.env["MLFLOW_PASSWORD"]) == httpx.codes.OK
    for password in (None, "password", "password1234", ""):
        assert experiments(stack, password) == httpx.codes.UNAUTHORIZED


def test_mlflow_answers_to_its_own_names_only(stack: Stack) -> None:
    password = stack.env["MLFLOW_PASSWORD"]
    for host in ("mlflow:5000", f"localhost:{stack.env['MLFLOW_PORT']}", "localhost"):
        assert experiments(stack, password, host) == httpx.codes.OK
    for host in ("evil.example", "evil.example:5000", "mlflow.evil.example"):
        assert experiments(stack, password, host) == httpx.codes.FORBIDDEN
