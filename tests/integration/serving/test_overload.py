"""More than can be done: too many requests, a database that stalls, clients that are slow."""

import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import sqlalchemy as sa

from autoops.serving import app
from autoops.serving.http import connections, server
from autoops.settings import Settings
from autoops.storage.predictions import LogSelection, PredictionLog
from tests.eventually import eventually
from tests.integration.serving.conftest import TRIP, Start
from tests.integration.serving.test_bad_input import problem_of

LABEL = {"labels": [{"request_id": "ride-1", "trip_duration_minutes": 5}]}
REQUESTS = {"/predict": TRIP, "/predict/batch": {"trips": [TRIP] * 3}, "/ground-truth": LABEL}


@contextmanager
def stalled(settings: Settings) -> Iterator[None]:
    lock = sqlite3.connect(settings.storage.home / "autoops.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        lock.close()


def waiting(api: httpx.Client) -> int:
    (line,) = (line for line in api.get("/metrics").text.splitlines() if line.startswith("autoops_log_queue_rows "))
    return int(float(line.split()[1]))


def connected(api: httpx.Client) -> socket.socket:
    return socket.create_connection((api.base_url.host, api.base_url.port or 0), timeout=10)


def test_what_is_too_much_is_refused_at_once_and_the_rest_is_answered(
    start: Start, settings: Settings, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_REQUESTS_IN_WORK", 20)
    api = start()
    with ThreadPoolExecutor(20) as pool:
        with stalled(settings):
            taken = [pool.submit(api.post, "/predict", json=TRIP) for _ in range(20)]
            eventually(lambda: waiting(api) == 20)
            for path, body in REQUESTS.items():
                refused = api.post(path, json=body)
                assert problem_of(refused, 503).detail == "too many requests are in work"
                assert refused.headers["retry-after"] == "1"
            assert api.get("/health").is_success
        answers = [one.result() for one in taken]
    assert {answer.status_code for answer in answers} == {200}
    assert api.post("/predict", json=TRIP).is_success
    assert PredictionLog(engine).count(LogSelection(1)) == 21


def test_a_database_that_stalls_keeps_nobody_waiting(start: Start, settings: Settings, engine: sa.Engine) -> None:
    api = start(timeout_s=0.3)
    with stalled(settings):
        begun = api.post("/predict", json=TRIP | {"request_id": "begun"})
        assert "may be stored or not" in problem_of(begun, 503).detail
        for path, body in REQUESTS.items():
            answer = api.post(path, json=body)
            assert "is not stored" in problem_of(answer, 503).detail
            assert answer.headers["retry-after"] == "1"
    eventually(lambda: waiting(api) == 0)
    assert PredictionLog(engine).count(LogSelection(1)) == 1
    assert api.post("/predict", json=TRIP | {"request_id": "begun"}).json()["repeated"]
    assert api.post("/predict", json=TRIP | {"request_id": "new"}).json()["repeated"] is False


HEAD = b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"


ASK = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"


def test_who_connects_and_says_nothing_is_left(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SEND_S", 0.3)
    with connected(start()) as silent:
        assert silent.recv(4096) == b""


@pytest.mark.parametrize("sent", [HEAD[:30], HEAD + b"\r\n{"], ids=["half a head", "half a body"])
def test_a_client_that_does_not_send_its_whole_request_is_left(
    start: Start, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "SEND_S", 0.3)
    with connected(start()) as slow:
        slow.sendall(ASK)
        assert slow.recv(4096).startswith(b"HTTP/1.1 200 ")
        slow.sendall(sent)
        answer = b"".join(iter(lambda: slow.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_thinks_between_two_requests_is_not(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SEND_S", 0.05)
    with connected(start()) as client:
        for _ in range(2):
            client.sendall(ASK)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.2)


def test_connections_beyond_what_there_are_descriptors_for_are_told_so(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_descriptors", lambda: server._OTHER_FILES + 3)
    api = start()
    others = [connected(api) for _ in range(2)]
    with httpx.Client(base_url=api.base_url) as one_more:
        eventually(lambda: one_more.get("/health").status_code == 503)
        answer = one_more.get("/health")
    problem_of(answer, 503)
    assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
    for other in others:
        other.close()
    eventually(lambda: httpx.get(f"{api.base_url}/health").is_success)
