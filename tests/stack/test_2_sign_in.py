"""Who may come in, and under which name."""

import httpx
import pytest

from autoops.services.airflow import AirflowClient
from tests.stack.compose import Stack
from tests.stack.dags import MONITOR, RETRAIN
from tests.stack.waiting import eventually

EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"


def airflow_token(stack: Stack, password: str, username: str = "admin") -> httpx.Response:
    body = {"username": username, "password": password}
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


def test_airflows_viewer_looks_and_starts_nothing(stack: Stack) -> None:
    signed_in = airflow_token(stack, stack.env["AIRFLOW_VIEWER_PASSWORD"], "viewer").json()
    headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
    with httpx.Client(base_url=f"{stack.url('AIRFLOW')}/api/v2", headers=headers, timeout=30) as viewer:
        assert viewer.get(f"/dags/{RETRAIN}").status_code == httpx.codes.OK
        trigger = viewer.post(f"/dags/{RETRAIN}/dagRuns", json={"logical_date": None, "conf": {}})
        paused = viewer.patch(f"/dags/{RETRAIN}", json={"is_paused": True})
    assert {trigger.status_code, paused.status_code} == {httpx.codes.FORBIDDEN}


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


PROTECTED = [
    ("POST", "/predict"),
    ("POST", "/predict/batch"),
    ("POST", "/ground-truth"),
    ("POST", "/model/reload"),
    ("GET", "/model/info"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("GET", "/docs/assets/start.js"),
    ("GET", "/openapi.json"),
]


def api_status(stack: Stack, method: str, path: str, key: str | None) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, stack.url("API") + path, headers=headers, timeout=30).status_code


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_the_api_knows_its_keys_only(stack: Stack, method: str, path: str) -> None:
    for key in (None, "admin", stack.env["AIRFLOW_PASSWORD"]):
        assert api_status(stack, method, path, key) == httpx.codes.UNAUTHORIZED


def test_each_key_of_the_environment_is_for_one_thing(stack: Stack) -> None:
    allowed = {
        "API_KEY": {"/predict", "/predict/batch", "/ground-truth"},
        "API_ADMIN_KEY": {"/model/reload"},
        "API_METRICS_KEY": set[str](),
    }
    for name, paths in allowed.items():
        refused = {
            path
            for method, path in PROTECTED
            if api_status(stack, method, path, stack.env[name]) == httpx.codes.FORBIDDEN
        }
        assert refused == {"/predict", "/predict/batch", "/ground-truth", "/model/reload"} - paths, name


def test_a_key_is_added_and_revoked_while_replicas_run(stack: Stack) -> None:
    run = ("run", "--rm", "--no-TTY", "keys", "autoops", "keys")
    partner = stack.compose(*run, "add", "partner", "--scope", "predict").strip().splitlines()[-1]
    eventually(lambda: api_status(stack, "GET", "/model/info", partner) == httpx.codes.OK, 30, "the new key is known")
    stack.compose(*run, "revoke", "partner")
    eventually(lambda: api_status(stack, "GET", "/model/info", partner) == httpx.codes.UNAUTHORIZED, 30, "it has ended")
