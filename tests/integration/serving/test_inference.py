"""The Open Inference Protocol on a real server; `test_another_usecase` has a binary use case."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from autoops.models.registry import CHAMPION
from autoops.serving.payloads.schemas import Problem
from autoops.settings import Settings
from autoops.storage.predictions import LogSelection, PredictionLog
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.integration.serving.conftest import TRIP, Start
from tests.integration.serving.keyed import give_key, keyed_api

MODEL = "/v2/models/nyc_taxi_trip_duration"
DATATYPES = {"pickup_at": "BYTES", "trip_distance": "FP32", "request_id": "BYTES"}
SCOPES = ("predict", "looks", "admin")


def tensor(name: str, datatype: str, data: Sequence[object]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": list(data)}


def trips(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    names = rows[0]
    return {"inputs": [tensor(n, DATATYPES.get(n, "INT64"), [row[n] for row in rows]) for n in names]} | more


def outputs(answer: httpx.Response) -> dict[str, list[Any]]:
    assert answer.status_code == 200, answer.text
    found = answer.json()["outputs"]
    assert {tuple(output["shape"]) for output in found} == {(len(found[0]["data"]),)}
    return {output["name"]: output["data"] for output in found}


def refused(answer: httpx.Response, status: int) -> str:
    """The detail of a problem, which clients of the protocol read in `error`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    told: str = problem.pop("error")
    assert told == Problem.model_validate(problem, extra="forbid").detail
    return told


def test_what_the_server_tells_of_itself_and_of_its_model(api: httpx.Client) -> None:
    assert api.get("/v2").json()["name"] == "autoops"
    assert (api.get("/v2/health/live").json(), api.get("/v2/health/ready").json()) == ({"live": True}, {"ready": True})
    about = api.get(MODEL).json()
    assert (about["name"], about["versions"]) == ("nyc_taxi_trip_duration", ["1"])
    assert {one["name"]: one["datatype"] for one in about["inputs"]} == {
        "pickup_at": "BYTES",
        "trip_distance": "FP64",
        "passenger_count": "INT64",
        "pickup_location_id": "INT64",
        "dropoff_location_id": "INT64",
        "request_id": "BYTES",
    }
    assert about["outputs"][0] == {"name": "trip_duration_minutes", "datatype": "FP64", "shape": [-1]}
    assert api.get(f"{MODEL}/versions/1").json() == about
    for path in (f"{MODEL}/ready", f"{MODEL}/versions/1/ready"):
        assert api.get(path).json()["ready"]
        assert api.head(path).status_code == 200


def test_rows_of_tensors_are_predicted_and_logged_as_others_are(api: httpx.Client, engine: sa.Engine) -> None:
    native = api.post("/predict", json=TRIP).json()
    other = TRIP | {"trip_distance": 9.5}
    asked = trips(TRIP, other, id="two", parameters={"binary_data_output": True})
    answer = api.post(f"{MODEL}/versions/1/infer", json=asked)
    found = outputs(answer)
    assert answer.json()["id"] == "two"
    assert (answer.json()["model_name"], answer.json()["model_version"]) == ("nyc_taxi_trip_duration", "1")
    assert found["trip_duration_minutes"] == [
        native["trip_duration_minutes"],
        api.post("/predict", json=other).json()["trip_duration_minutes"],
    ]
    assert found["event_at"] == [native["event_at"]] * 2
    logged = PredictionLog(engine).latest(LogSelection(1), 4)
    assert [row.id for row in logged[1:3]] == found["prediction_id"]
    assert logged[1].inputs == logged[0].inputs
    labels = [{"prediction_id": one, "trip_duration_minutes": 9} for one in found["prediction_id"]]
    assert api.post("/ground-truth", json={"labels": labels}).json()["attached"] == 2


def test_the_id_of_one_row_is_its_request_id(api: httpx.Client) -> None:
    one = {"inputs": [part | {"shape": [1, 1], "data": [part["data"]]} for part in trips(TRIP)["inputs"]], "id": "ride"}
    first = outputs(api.post(f"{MODEL}/infer", json=one))
    again = outputs(api.post(f"{MODEL}/infer", json=one))
    assert (again["prediction_id"], again["repeated"], first["repeated"]) == (first["prediction_id"], [True], [False])
    assert api.post("/predict", json=TRIP | {"request_id": "ride"}).json()["prediction_id"] == first["prediction_id"][0]
    answer = api.post(f"{MODEL}/infer", json=trips(TRIP | {"trip_distance": 1.0}, id="ride"))
    assert "inputs.request_id.0: was used for another trip" in refused(answer, 422)


def test_outputs_are_those_that_are_asked_for(api: httpx.Client) -> None:
    wanted = [{"name": "prediction_id"}, {"name": "trip_duration_minutes"}]
    assert [*outputs(api.post(f"{MODEL}/infer", json=trips(TRIP, outputs=wanted)))] == [w["name"] for w in wanted]
    answer = api.post(f"{MODEL}/infer", json=trips(TRIP, outputs=[{"name": "fare"}]))
    assert "outputs.fare: expected one of trip_duration_minutes" in refused(answer, 422)


def changed(name: str, /, **change: Any) -> dict[str, Any]:
    return {"inputs": [part | (change if part["name"] == name else {}) for part in trips(TRIP, TRIP)["inputs"]]}


REFUSED: list[tuple[Any, str]] = [
    ([], "body"),
    ({"inputs": []}, "inputs: List should have at least 1 item"),
    ({"inputs": [{"name": "trip_distance"}]}, "inputs.0.shape: Field required"),
    (trips(TRIP, priority=1), "priority: Extra inputs are not permitted"),
    (changed("trip_distance", shape=[3]), "inputs.trip_distance: shape: expected [2] or [2, 1]"),
    (changed("trip_distance", shape=[1, 2]), "inputs.trip_distance: shape: expected [2] or [2, 1]"),
    (changed("trip_distance", datatype="BYTES"), "inputs.trip_distance: datatype: expected FP64 or FP32"),
    (changed("trip_distance", data=[1.0, "2"]), "inputs.trip_distance.1: Input should be a valid number"),
    (changed("trip_distance", data=[1.0, -2]), "inputs.trip_distance.1: Input should be greater than 0"),
    (changed("passenger_count", datatype="FP32", data=[1.0, 1.5]), "inputs.passenger_count.1: "),
    (changed("pickup_at", data=["2023-01-10T10:30:00", "x"]), "inputs.pickup_at.1: expected date and time"),
    (changed("trip_distance", name="distance"), "inputs.distance: Extra inputs are not permitted"),
    (changed("trip_distance", name="passenger_count"), "inputs.passenger_count: expected one tensor"),
    (changed("trip_distance", data=None), "inputs.trip_distance: expected its values as JSON in `data`"),
    (changed("trip_distance", parameters={"binary_data_size": 8}), "binary tensors are not taken"),
    ({"inputs": trips(TRIP)["inputs"][:2] + trips(TRIP, TRIP)["inputs"][2:]}, "as in trip_distance"),
]


def test_what_is_no_request_is_refused_by_its_tensor(api: httpx.Client) -> None:
    for body, told in REFUSED:
        assert told in refused(api.post(f"{MODEL}/infer", json=body), 422)


def test_a_batch_has_the_same_limits(start: Start) -> None:
    api = start(max_batch=2)
    outputs(api.post(f"{MODEL}/infer", json=trips(TRIP, TRIP)))
    assert "at most 2 in one request, got 3" in refused(api.post(f"{MODEL}/infer", json=trips(TRIP, TRIP, TRIP)), 413)
    large = b" " * 2_000_000
    headers = {"content-type": "application/json"}
    assert refused(api.post(f"{MODEL}/infer", content=large, headers=headers), 413).startswith("body: at most")
    binary = headers | {"inference-header-content-length": "2"}
    told = refused(api.post(f"{MODEL}/infer", content=b"{}xx", headers=binary), 415)
    assert told.startswith("binary tensors are not taken")


def test_another_model_or_version_is_not_there(api: httpx.Client, registry: FakeRegistry) -> None:
    for version in ("2", "01", "x"):
        for path in ("", "/ready"):
            told = refused(api.get(f"{MODEL}/versions/{version}{path}"), 404)
            assert told == f"version {version} is not served here: version 1 is"
    assert "version 1 is" in refused(api.post(f"{MODEL}/versions/2/infer", json=trips(TRIP)), 404)
    for path in ("/v2/models/other", "/v2/models/other/versions/1/ready"):
        assert "expected nyc_taxi_trip_duration" in refused(api.get(path), 404)
    registry.set_alias(CHAMPION, 2)
    eventually(lambda: api.get(f"{MODEL}/versions/2/ready").is_success)
    assert api.get(MODEL).json()["versions"] == ["2"]
    assert api.post(f"{MODEL}/versions/2/infer", json=trips(TRIP)).json()["model_version"] == "2"
    text = api.get("/metrics").text
    route = "/v2/models/{name}/versions/{version}/infer"
    assert f'autoops_http_requests_total{{route="{route}",status="404"}} 1.0' in text
    assert f'autoops_http_requests_total{{route="{route}",status="200"}} 1.0' in text


def test_without_a_version_only_the_process_is_alive(start: Start, registry: FakeRegistry) -> None:
    registry.aliases.clear()
    api = start(ready=False)
    assert api.get("/v2/health/live").is_success
    assert api.get(MODEL).json()["versions"] == []
    for path in ("/v2/health/ready", f"{MODEL}/ready", f"{MODEL}/versions/1"):
        assert refused(api.get(path), 503).startswith("no model version is loaded yet")
    assert refused(api.post(f"{MODEL}/infer", json=trips(TRIP)), 503)


def test_keys_hold_here_as_well(settings: Settings, registry: FakeRegistry, engine: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    predicts, looks, admin = (give_key(file, scope, *([scope] if scope != "looks" else [])) for scope in SCOPES)
    with keyed_api(settings, registry, engine, file) as api:
        for path in (f"{MODEL}/infer", f"{MODEL}/versions/1/infer"):
            assert api.ask(None, "POST", path, json=trips(TRIP)).status_code == 401
            assert api.ask(looks, "POST", path, json=trips(TRIP)).status_code == 403
            assert api.ask(admin, "POST", path, json=trips(TRIP)).status_code == 403
            assert api.ask(predicts, "POST", path, json=trips(TRIP)).status_code == 200
            assert api.ask(predicts, "POST", f"{path}%0A", json=trips(TRIP)).status_code == 403
            assert api.ask(admin, "POST", f"{path}%0A", json=trips(TRIP)).status_code == 404
        assert api.ask(None, "GET", MODEL).status_code == 401
        assert api.ask(looks, "GET", MODEL).status_code == 200
        assert {api.ask(None, "GET", f"/v2/health/{one}").status_code for one in ("live", "ready")} == {200}
    assert {row.key for row in PredictionLog(engine).latest(LogSelection(1), 9)} == {"predict"}
