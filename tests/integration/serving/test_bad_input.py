"""A client's mistake is a 4xx problem that names the field, and leaves no trace in the log."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.serving.payloads.schemas import Problem
from autoops.settings import Settings, Storage
from autoops.storage import database
from autoops.storage.instances import Instances
from autoops.storage.predictions import LoggedPrediction, LogSelection, PredictionLog
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.integration.serving.conftest import TRIP, Start, serving, with_serving
from tests.taxi import raw_of

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """One database for all of this module: no test of it leaves a trace."""
    home = tmp_path_factory.mktemp("bad-input")
    engine = database.connect(Settings(storage=Storage(home=home)))
    database.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def api(engine: sa.Engine, runs: list[TrainingRun], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("bad-input")
    registry = FakeRegistry(home / "registry")
    registry.register(runs[0])
    registry.set_alias(CHAMPION, 1)
    settings = with_serving(Settings(storage=Storage(home=home)))
    with serving(settings, registry, PredictionLog(engine), Instances(engine), SystemClock()) as client:
        eventually(lambda: client.get("/ready").is_success)
        yield client


def problem_of(answer: httpx.Response, status: int) -> Problem:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content, extra="forbid")
    assert problem.status == status
    assert "Traceback" not in answer.text
    return problem


WRONG_FIELDS: list[tuple[str, Any]] = [
    ("trip_distance", None),
    ("trip_distance", 0),
    ("trip_distance", -1.5),
    ("trip_distance", 100),
    ("trip_distance", float("nan")),
    ("trip_distance", float("inf")),
    ("trip_distance", "2.3"),
    ("trip_distance", True),
    ("trip_distance", [2.3]),
    ("trip_distance", 10**400),
    ("passenger_count", -1),
    ("passenger_count", 10),
    ("passenger_count", 1.5),
    ("passenger_count", 1.0),
    ("passenger_count", "1"),
    ("passenger_count", False),
    ("pickup_location_id", 0),
    ("pickup_location_id", 266),
    ("pickup_location_id", "74"),
    ("pickup_location_id", 2**80),
    ("dropoff_location_id", None),
    ("dropoff_location_id", float("nan")),
    ("dropoff_location_id", {"id": 1}),
    ("pickup_at", "yesterday"),
    ("pickup_at", "2023-13-01T00:00:00"),
    ("pickup_at", "2023-01-10"),
    ("pickup_at", "2008-12-31T23:59:59"),
    ("pickup_at", "2100-01-01T00:00:00"),
    ("pickup_at", "0001-01-01T00:00:00+14:00"),
    ("pickup_at", 1673346600),
    ("pickup_at", ""),
    ("request_id", ""),
    ("request_id", "x" * 201),
    ("request_id", 7),
    ("request_id", "nul\x00"),
    ("colour", "green"),
]


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS, ids=lambda value: ascii(value)[:30])
def test_a_wrong_field_is_named(api: httpx.Client, engine: sa.Engine, field: str, value: Any) -> None:
    problem = problem_of(api.post("/predict", content=json.dumps(TRIP | {field: value}), headers=JSON), 422)
    assert [found.field for found in problem.errors or []] == [field]
    assert problem.detail.startswith(f"{field}: ")
    assert PredictionLog(engine).count(LogSelection(1)) == 0


@pytest.mark.parametrize("field", ["trip_distance", "pickup_location_id", "dropoff_location_id"])
def test_a_missing_field_is_named(api: httpx.Client, field: str) -> None:
    trip = {name: value for name, value in TRIP.items() if name != field}
    problem = problem_of(api.post("/predict", json=trip), 422)
    assert [(found.field, found.message) for found in problem.errors or []] == [(field, "Field required")]


def test_every_wrong_field_is_named(api: httpx.Client) -> None:
    problem = problem_of(api.post("/predict", json={"trip_distance": "far", "extra": 1}), 422)
    assert {found.field for found in problem.errors or []} == {
        "trip_distance",
        "pickup_location_id",
        "dropoff_location_id",
        "extra",
    }
    assert problem.detail.endswith("(and 3 more)")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"trip_distance": }',
        b"\xff\xfe",
        b"[" * 5_000,
        b'{"a": 1} {',
        b'{"request_id": "\\ud800"}',
    ],
    ids=[
        "empty",
        "cut off",
        "single quotes",
        "no value",
        "not UTF-8",
        "nested without end",
        "two documents",
        "half a character",
    ],
)
def test_what_is_not_json_is_a_bad_request(api: httpx.Client, body: bytes) -> None:
    problem = problem_of(api.post("/predict", content=body, headers=JSON), 400)
    assert "not JSON" in problem.detail


@pytest.mark.parametrize("body", [b"[]", b"3", b"null", b'"trip"'])
def test_json_that_is_no_object_is_refused(api: httpx.Client, body: bytes) -> None:
    problem = problem_of(api.post("/predict", content=body, headers=JSON), 422)
    assert [found.field for found in problem.errors or []] == ["body"]


def test_a_form_is_not_json(api: httpx.Client) -> None:
    assert "application/json" in problem_of(api.post("/predict", data={"trip_distance": "2"}), 415).detail


def test_a_wrong_trip_of_a_batch_is_named_by_position_and_none_is_logged(api: httpx.Client, engine: sa.Engine) -> None:
    trips = [TRIP, TRIP, TRIP | {"trip_distance": -1}]
    problem = problem_of(api.post("/predict/batch", json={"trips": trips}), 422)
    assert [found.field for found in problem.errors or []] == ["trips.2.trip_distance"]
    assert PredictionLog(engine).count(LogSelection(1)) == 0


def test_a_thousand_mistakes_are_not_all_listed(api: httpx.Client) -> None:
    problem = problem_of(api.post("/predict/batch", json={"trips": [{}] * 1000}), 422)
    assert len(problem.errors or []) == 20
    assert problem.detail.endswith("(and 2999 more)")


def test_an_empty_batch_is_refused(api: httpx.Client) -> None:
    assert problem_of(api.post("/predict/batch", json={"trips": []}), 422).detail.startswith("trips: ")


@pytest.mark.parametrize(("path", "name", "item"), [("/predict/batch", "trips", TRIP), ("/ground-truth", "labels", {})])
def test_an_oversized_batch_is_told_the_limit(start: Start, path: str, name: str, item: dict[str, Any]) -> None:
    api = start(max_batch=5)
    problem = problem_of(api.post(path, json={name: [item] * 6}), 413)
    assert problem.detail == f"{name}: at most 5 in one request, got 6"
    assert api.post(path, json={name: [item] * 5}).is_success


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_measure_is_not_read_into_memory(start: Start, chunked: bool) -> None:
    api = start(max_batch=1)
    body = b'{"request_id": "' + b"x" * 200_000 + b'"}'
    content: Any = iter([body[:100_000], body[100_000:]]) if chunked else body
    assert "bytes" in problem_of(api.post("/predict", content=content, headers=JSON), 413).detail
    assert api.post("/predict", json=TRIP).is_success


def test_unknown_paths_and_methods_are_problems_too(api: httpx.Client) -> None:
    problem_of(api.get("/nowhere"), 404)
    problem_of(api.get("/predict"), 405)
    problem_of(api.delete("/model/info"), 405)


class BrokenLog(PredictionLog):
    """A defect that nobody thought of, for trips that are one mile long."""

    def append(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        if any(raw_of(row)["trip_distance"] == 1 for row in rows):
            raise RuntimeError("secret detail")
        return super().append(rows)


def test_what_breaks_inside_is_not_told_and_breaks_no_other_request(start: Start, engine: sa.Engine) -> None:
    api = start(log=BrokenLog(engine))
    answer = api.post("/predict", json=TRIP | {"trip_distance": 1}, headers={"connection": "close"})
    assert "secret" not in problem_of(answer, 500).model_dump_json()
    assert api.post("/predict", json=TRIP).is_success
    assert 'autoops_http_requests_total{route="/predict",status="500"} 1.0' in api.get("/metrics").text
