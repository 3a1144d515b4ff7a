"""What a real server writes as JSON; and the id by which a request is found there."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from autoops.models.registry import CHAMPION, TrainingRun
from tests.fakes import DirectoryRegistry
from tests.integration.serving.conftest import TRIP
from tests.integration.serving.test_durability import process

JSON = {"AUTOOPS__LOGS__FORMAT": "json", "AUTOOPS__LOGS__REQUESTS": "true", "WEB_CONCURRENCY": "2"}
"""WEB_CONCURRENCY is what other programs have in their environment; uvicorn reads it, the API must not."""
MADE = 32
"""Characters of an id that the server makes."""


@dataclass(frozen=True)
class Session:
    """Answers by what was asked, and all that the server wrote until it had ended."""

    answers: dict[str, httpx.Response]
    lines: list[dict[str, Any]]

    def about(self, asked: str) -> list[dict[str, Any]]:
        request_id = self.answers[asked].headers["X-Request-Id"]
        return [line for line in self.lines if line.get("http", {}).get("request", {}).get("id") == request_id]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, runs: list[TrainingRun]) -> Session:
    home = tmp_path_factory.mktemp("logged")
    registry = DirectoryRegistry(home / "shared")
    registry.directory.mkdir()
    registry.register(runs[0])
    registry.set_alias(CHAMPION, 1)
    environment = JSON | {"AUTOOPS__STORAGE__HOME": str(home / "var")}
    with process(home, registry, module="tests.defective_app", **environment) as (server, url):
        answers = dict(_asked(url))
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=120)
    written = (home / "server.log").read_text()
    assert "Traceback" in written
    return Session(answers, [json.loads(line) for line in written.splitlines()])


def _asked(url: str) -> Iterator[tuple[str, httpx.Response]]:
    with httpx.Client(base_url=url, timeout=30) as client:
        yield "named", client.post("/predict", json=TRIP, headers={"X-Request-Id": "ride/7:retry=1"})
        yield "unnamed", client.post("/predict", json=TRIP)
        yield "long", client.post("/predict", json=TRIP, headers={"X-Request-Id": "x" * 129})
        yield "spaced", client.post("/predict", json=TRIP, headers={"X-Request-Id": "a b"})
        yield "mistaken", client.post("/predict", json=TRIP | {"trip_distance": -1})
        yield "unknown", client.get("/no%0Awhere")
        yield "defect", client.get("/defect", headers={"X-Request-Id": "defect-1"})


def test_every_line_is_one_object_of_the_schema(session: Session) -> None:
    for line in session.lines:
        assert {"@timestamp", "log.level", "message", "ecs.version", "service", "event"} <= set(line)
        assert (line["service"]["name"], line["event"]["dataset"]) == ("autoops-api", "autoops.api")
    loggers = {line["log"]["logger"] for line in session.lines}
    assert {"uvicorn.error", "autoops.serving.model.holder"} <= loggers
    assert len({line["process"]["pid"] for line in session.lines}) == 1


def test_lines_about_a_version_name_it(session: Session) -> None:
    served = [line for line in session.lines if line["message"] == "serving version 1"]
    assert [line["labels"]["model_version"] for line in served] == ["1"]


def test_an_id_is_the_clients_where_it_is_short_and_printable(session: Session) -> None:
    assert session.answers["named"].headers["X-Request-Id"] == "ride/7:retry=1"
    for asked in ("unnamed", "long", "spaced"):
        made = session.answers[asked].headers["X-Request-Id"]
        assert session.answers[asked].is_success
        assert len(made) == MADE
        assert set(made) <= set("0123456789abcdef")
    assert len({answer.headers["X-Request-Id"] for answer in session.answers.values()}) == len(session.answers)


@pytest.mark.parametrize(("asked", "status"), [("mistaken", 422), ("unknown", 404), ("defect", 500)])
def test_a_problem_names_its_request(session: Session, asked: str, status: int) -> None:
    answer = session.answers[asked]
    assert answer.status_code == status
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_each_request_has_its_line(session: Session) -> None:
    (line,) = session.about("named")
    assert line["message"].startswith("POST /predict 200 in ")
    assert (line["http"]["request"]["method"], line["http"]["response"]["status_code"]) == ("POST", 200)
    assert (line["url"]["path"], line["event"]["duration"] > 0) == ("/predict", True)
    (line,) = session.about("unknown")
    assert line["url"]["path"] == "/no%0Awhere"


def test_an_exception_is_one_line_with_all_that_led_to_it(session: Session) -> None:
    (failed,) = [line for line in session.about("defect") if "error" in line]
    assert (failed["log.level"], failed["error"]["type"]) == ("error", "ValueError")
    assert failed["error"]["message"] == "a mistake\nof two lines"
    assert "KeyError: 'nothing'" in failed["error"]["stack_trace"]
    assert "direct cause" in failed["error"]["stack_trace"]
