import json
from collections.abc import Callable

import httpx
import pytest

from autoops.errors import AutoOpsError, Conflict, InputError, NotFound, ServiceUnavailable
from autoops.services.airflow import AirflowClient

Answer = Callable[[httpx.Request], httpx.Response]


class FakeAirflow(httpx.BaseTransport):
    """Airflow's REST API at its edge: gives out tokens, refuses expired ones, answers by path."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers = answers or {}
        self.requests: list[httpx.Request] = []
        self.signed_in = 0
        self.token = ""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/auth/token":
            return self._sign_in(request)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return httpx.Response(401, json={"detail": "Invalid JWT"})
        return self.answers[f"{request.method} {request.url.path}"](request)

    def _sign_in(self, request: httpx.Request) -> httpx.Response:
        if json.loads(request.content) != {"username": "admin", "password": "secret"}:
            return httpx.Response(401, json={"detail": "Invalid credentials"})
        self.signed_in += 1
        self.token = f"token-{self.signed_in}"
        return httpx.Response(201, json={"access_token": self.token})


def client_of(airflow: httpx.BaseTransport, password: str = "secret") -> AirflowClient:
    return AirflowClient("http://airflow", "admin", password, transport=airflow)


def answer(status: int, body: object) -> Answer:
    return lambda _request: httpx.Response(status, json=body)


def run(run_id: str, state: str = "success") -> dict[str, object]:
    return {"dag_run_id": run_id, "state": state, "run_type": "manual", "conf": None}


def test_it_signs_in_once_for_many_calls() -> None:
    airflow = FakeAirflow({"GET /api/v2/dags/retrain/dagRuns": answer(200, {"dag_runs": []})})
    client = client_of(airflow)
    assert client.runs("retrain") == client.runs("retrain") == []
    assert airflow.signed_in == 1


def test_it_signs_in_again_when_the_token_has_expired() -> None:
    airflow = FakeAirflow({"GET /api/v2/dags/retrain/dagRuns": answer(200, {"dag_runs": []})})
    client = client_of(airflow)
    client.runs("retrain")
    airflow.token = "another"
    client.runs("retrain")
    assert airflow.signed_in == 2


def test_a_wrong_password_is_the_callers_mistake() -> None:
    with pytest.raises(InputError, match="Invalid credentials"):
        client_of(FakeAirflow(), password="wrong").runs("retrain")


def test_trigger_sends_form_and_run_id_and_the_logical_date_that_airflow_insists_on() -> None:
    airflow = FakeAirflow({"POST /api/v2/dags/retrain/dagRuns": answer(200, run("mine", "queued"))})
    assert client_of(airflow).trigger("retrain", {"force": True}, run_id="mine") == "mine"
    sent = json.loads(airflow.requests[-1].content)
    assert sent == {"logical_date": None, "conf": {"force": True}, "dag_run_id": "mine"}


@pytest.mark.parametrize(
    ("status", "error"),
    [(409, Conflict), (404, NotFound), (400, InputError), (422, InputError), (500, ServiceUnavailable)],
)
def test_each_refusal_becomes_our_error_with_airflows_reason(status: int, error: type[AutoOpsError]) -> None:
    refuses = answer(status, {"detail": "because of this"})
    airflow = FakeAirflow({"POST /api/v2/dags/retrain/dagRuns": refuses})
    with pytest.raises(error, match=f"{status} because of this"):
        client_of(airflow).trigger("retrain")


def test_a_refusal_that_is_no_json_is_told_as_it_came() -> None:
    airflow = FakeAirflow({"GET /api/v2/dags/retrain": lambda _request: httpx.Response(502, text="<html>gateway")})
    with pytest.raises(ServiceUnavailable, match="502 <html>gateway"):
        client_of(airflow).dag("retrain")


def test_no_answer_is_unavailable() -> None:
    class Silent(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ServiceUnavailable, match="refused"):
        client_of(Silent()).health()


def test_health_of_something_else_on_the_port_is_no_health() -> None:
    class AnotherServer(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(404, json={"detail": "Not Found"})

    with pytest.raises(NotFound, match="monitor/health: 404"):
        client_of(AnotherServer()).health()


@pytest.mark.parametrize("body", [b"hello", b"[1]", b'{"scheduler": 7}', b'{"metadatabase": "healthy"}'])
def test_a_server_that_answers_anything_with_200_is_no_airflow(body: bytes) -> None:
    class AnotherServer(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=body)

    with pytest.raises(ServiceUnavailable, match="is no Airflow"):
        client_of(AnotherServer()).health()


def test_runs_and_task_states_are_read_into_plain_values() -> None:
    tasks = {"task_instances": [{"task_id": "begin", "state": "success"}, {"task_id": "train", "state": None}]}
    airflow = FakeAirflow(
        {
            "GET /api/v2/dags/retrain/dagRuns": answer(200, {"dag_runs": [run("b", "running"), run("a")]}),
            "GET /api/v2/dags/retrain/dagRuns/b/taskInstances": answer(200, tasks),
        }
    )
    client = client_of(airflow)
    assert [(one.run_id, one.finished, one.conf) for one in client.runs("retrain")] == [
        ("b", False, {}),
        ("a", True, {}),
    ]
    assert client.task_states("retrain", "b") == {"begin": "success", "train": None}


def test_import_errors_are_told_by_file() -> None:
    broken = {"import_errors": [{"filename": "retrain_dag.py", "stack_trace": "SyntaxError"}]}
    airflow = FakeAirflow({"GET /api/v2/importErrors": answer(200, broken)})
    assert client_of(airflow).import_errors() == {"retrain_dag.py": "SyntaxError"}


def test_a_request_that_met_a_locked_database_is_sent_again() -> None:
    codes = iter([500, 500, 200])
    fake = FakeAirflow(
        {"GET /api/v2/dags/retrain": lambda _request: httpx.Response(next(codes), json={"is_paused": False})}
    )
    assert client_of(fake).dag("retrain") == {"is_paused": False}


def test_a_server_that_stays_broken_is_said_to_be() -> None:
    fake = FakeAirflow({"GET /api/v2/dags/retrain": answer(500, {"detail": {"reason": "Database error"}})})
    with pytest.raises(ServiceUnavailable, match="500"):
        client_of(fake).dag("retrain")
