import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from autoops.models.bundle import verify
from autoops.models.scoring import Scorer
from autoops.serving.payloads import schemas
from autoops.storage import tables
from autoops.storage.instances import Instance, Instances
from autoops.storage.predictions import LIVE, LogSelection, PredictionLog
from autoops.usecase.columns import columns_of
from tests.bundles import synthetic_trips
from tests.eventually import eventually
from tests.fakes import FakeRegistry, HeldClock
from tests.integration.serving.conftest import TRIP, Start
from tests.integration.serving.test_bad_input import problem_of
from tests.taxi import Prediction, PredictionBatch, raw_of


def logged(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(tables.predictions).order_by(tables.predictions.c.id)))


def writers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "writer"}


def test_the_answer_is_the_models_and_stands_in_the_log(
    api: httpx.Client, engine: sa.Engine, registry: FakeRegistry
) -> None:
    scorer = Scorer(registry.bundle_of(1), verify(registry.bundle_of(1), registry.version(1).bundle_digest))
    trips = synthetic_trips(rows=40, seed=3)
    expected = scorer.predict_rows(columns_of(trips))
    for trip, minutes in zip(trips.itertuples(), expected, strict=True):
        body = {
            "pickup_at": trip.event_at.isoformat(),
            "trip_distance": trip.trip_distance,
            "passenger_count": trip.passenger_count,
            "pickup_location_id": trip.pickup_location_id,
            "dropoff_location_id": trip.dropoff_location_id,
        }
        answer = api.post("/predict", json=body)
        assert answer.status_code == 200
        prediction: Any = Prediction.model_validate_json(answer.content, extra="forbid")
        assert prediction.trip_duration_minutes == pytest.approx(minutes, abs=1e-6)
        assert prediction.event_at == trip.event_at
        assert (prediction.model_version, prediction.known_zones, prediction.repeated) == (1, True, False)
        last = PredictionLog(engine).latest(LogSelection(1), 1)[0]
        assert (last.id, last.prediction) == (prediction.prediction_id, prediction.trip_duration_minutes)
        assert raw_of(last) == {name: value for name, value in body.items() if name != "pickup_at"}
        assert (last.event_at, last.source, last.request_id) == (trip.event_at, LIVE, None)


def test_a_trip_without_a_time_begins_now(start: Start, engine: sa.Engine) -> None:
    clock = HeldClock(datetime(2023, 3, 4, 5, 6, 7, 890, tzinfo=UTC))
    api = start(clock=clock)
    answer = api.post(
        "/predict", json={name: TRIP[name] for name in TRIP if name not in ("pickup_at", "passenger_count")}
    )
    assert answer.json()["event_at"] == "2023-03-04T05:06:07.000890Z"
    last = PredictionLog(engine).latest(LogSelection(1), 1)[0]
    assert last.event_at == last.predicted_at == clock.now()
    assert raw_of(last)["passenger_count"] == 0


def test_without_an_offset_it_is_new_york_time(api: httpx.Client) -> None:
    local = api.post("/predict", json=TRIP | {"pickup_at": "2023-07-01T08:00:00"}).json()
    same = api.post("/predict", json=TRIP | {"pickup_at": "2023-07-01T14:00:00+02:00"}).json()
    assert local["event_at"] == same["event_at"] == "2023-07-01T12:00:00Z"
    assert local["trip_duration_minutes"] == same["trip_duration_minutes"]


def test_a_batch_answers_as_the_single_trips_do(api: httpx.Client, engine: sa.Engine) -> None:
    trips = [TRIP | {"trip_distance": 0.5 + 0.01 * i, "pickup_location_id": 1 + i % 265} for i in range(700)]
    answer = api.post("/predict/batch", json={"trips": trips})
    assert answer.status_code == 200
    batch: Any = PredictionBatch.model_validate_json(answer.content, extra="forbid")
    assert batch.model_version == 1
    assert len(batch.predictions) == len(trips)
    ids = [prediction.prediction_id for prediction in batch.predictions]
    assert ids == sorted(set(ids)), "ids are unique and in the order of time"
    for position in (0, 255, 256, 699):
        single = api.post("/predict", json=trips[position]).json()
        assert batch.predictions[position].trip_duration_minutes == single["trip_duration_minutes"]
    assert [row.id for row in logged(engine)][: len(ids)] == ids


def test_a_repeated_request_gets_its_first_answer_and_is_logged_once(
    start: Start, engine: sa.Engine, registry: FakeRegistry
) -> None:
    api = start(poll_interval_s=3600)
    first = api.post("/predict", json=TRIP | {"request_id": "ride-1"}).json()
    registry.set_alias("champion", 2)
    assert api.post("/model/reload").json()["swapped"]
    again = api.post("/predict", json=TRIP | {"request_id": "ride-1"}).json()
    assert again == first | {"repeated": True}
    assert again["model_version"] == 1
    assert len(logged(engine)) == 1


AT = "2023-05-03T10:00:00-04:00"
SENT_AGAIN = [
    ({}, {"trip_distance": 9.0}),
    ({}, {"passenger_count": 2}),
    ({}, {"pickup_location_id": 7}),
    ({}, {"dropoff_location_id": 7}),
    ({"pickup_at": AT}, {"pickup_at": "2023-05-03T10:00:01-04:00"}),
    ({"pickup_at": AT}, {"pickup_at": None}),
    ({"pickup_at": None}, {"pickup_at": AT}),
]


def test_a_request_id_of_another_trip_is_refused(api: httpx.Client, engine: sa.Engine) -> None:
    for number, (sent, then) in enumerate(SENT_AGAIN):
        ride = TRIP | {"passenger_count": 1, "request_id": f"ride-{number}"} | sent
        answered = api.post("/predict", json=ride).json()
        refused = problem_of(api.post("/predict", json=ride | then), 422)
        assert refused.errors is not None
        assert [error.field for error in refused.errors] == ["request_id"]
        assert "another trip: send that trip unchanged" in refused.detail
        assert answered["prediction_id"] not in refused.model_dump_json()
        assert api.post("/predict", json=ride).json() == answered | {"repeated": True}
    assert len(logged(engine)) == len(SENT_AGAIN)


def test_the_same_trip_in_other_words_is_a_repeat(api: httpx.Client) -> None:
    ride = TRIP | {"request_id": "ride-1", "pickup_at": AT}
    first = api.post("/predict", json=ride | {"passenger_count": 0}).json()
    same = ride | {"passenger_count": None, "pickup_at": "2023-05-03T14:00:00Z"}
    assert api.post("/predict", json=same).json() == first | {"repeated": True}


def test_a_request_id_twice_in_one_batch_is_one_prediction(api: httpx.Client, engine: sa.Engine) -> None:
    trips = [TRIP | {"request_id": "ride-1"}, TRIP, TRIP | {"request_id": "ride-1"}]
    first, other, again = api.post("/predict/batch", json={"trips": trips}).json()["predictions"]
    assert again == first | {"repeated": True}
    assert not first["repeated"]
    assert len({row.id for row in logged(engine)} & {first["prediction_id"], other["prediction_id"]}) == 2
    assert len(logged(engine)) == 2


def test_zones_unseen_in_training_are_served_marked_and_counted(api: httpx.Client) -> None:
    known = api.post("/predict", json=TRIP).json()
    unknown = api.post("/predict", json=TRIP | {"dropoff_location_id": 265}).json()
    assert (known["known_zones"], unknown["known_zones"]) == (True, False)
    assert "autoops_unseen_category_predictions_total 1.0" in api.get("/metrics").text


def test_trips_of_an_implausible_time_are_answered_and_counted(api: httpx.Client) -> None:
    sent = [TRIP | {"pickup_at": at} for at in ("2090-01-01T00:00:00Z", "2091-01-01T00:00:00Z")]
    assert api.post("/predict", json=sent[0]).status_code == 200
    assert api.post("/predict/batch", json={"trips": [*sent, TRIP]}).status_code == 200
    assert "autoops_implausible_time_predictions_total 3.0" in api.get("/metrics").text


def test_alive_ready_and_what_is_served(api: httpx.Client, registry: FakeRegistry) -> None:
    assert api.get("/health").json() == {"status": "alive"}
    assert api.get("/ready").json() == {"status": "ready", "model_version": 1}
    info = schemas.ModelInfo.model_validate_json(api.get("/model/info").content, extra="forbid")
    assert (info.model_version, info.previous_version, info.follows, info.source) == (1, None, "champion", "registry")
    assert info.bundle_digest == registry.version(1).bundle_digest
    assert info.trained_until == registry.version(1).trained_until
    assert info.features[0] == "trip_distance"
    assert (info.last_error, info.last_error_at, info.failed_version) == (None, None, None)


def test_the_instance_says_what_it_serves_until_it_leaves(
    start: Start, engine: sa.Engine, registry: FakeRegistry
) -> None:
    others = writers()  # of tests whose database never answered
    api = start()
    instance = api.get("/model/info").json()["instance_id"]
    since = datetime.now(UTC) - timedelta(seconds=30)
    eventually(lambda: Instances(engine).serving(since) == [Instance(instance, socket.gethostname(), 1)])
    start()
    assert instance not in [alive.id for alive in Instances(engine).serving(since)]
    assert len(writers() - others) == 1


def test_metrics_count_by_route_and_status(api: httpx.Client) -> None:
    for _ in range(3):
        api.post("/predict", json=TRIP)
    api.post("/predict", json={})
    api.get("/no/such/path")
    text = api.get("/metrics").text
    for line in (
        'autoops_http_requests_total{route="/predict",status="200"} 3.0',
        'autoops_http_requests_total{route="/predict",status="422"} 1.0',
        'autoops_http_requests_total{route="other",status="404"} 1.0',
        'autoops_http_request_seconds_count{route="/predict"} 4.0',
        'autoops_predictions_total{model_version="1"} 3.0',
        'autoops_model_reloads_total{outcome="swapped"} 1.0',
        "autoops_model_version 1.0",
        "autoops_model_reload_failing 0.0",
        "autoops_log_queue_rows 0.0",
    ):
        assert line in text.splitlines()


def test_the_document_describes_what_the_api_does(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    schemas_of = document["components"]["schemas"]
    assert schemas_of["Trip"]["additionalProperties"] is False
    assert schemas_of["Trip"]["properties"]["trip_distance"]["exclusiveMaximum"] == 100
    assert schemas_of["Trip"]["properties"]["pickup_location_id"]["maximum"] == 265
    labels = schemas_of["GroundTruthBatch"]["properties"]["labels"]
    assert labels["maxItems"] == schemas_of["TripColumns"]["properties"]["trip_distance"]["maxItems"] == 10_000
    label, _ = labels["items"]["anyOf"]
    assert {*label["properties"]} == {"prediction_id", "request_id", "trip_duration_minutes"}
    for path in ("/predict", "/predict/batch", "/ground-truth"):
        responses = document["paths"][path]["post"]["responses"]
        of_batches = {"406"} if path == "/predict/batch" else set()
        assert {*responses} == {"200", "400", "413", "415", "422", "503"} | of_batches
        assert "application/problem+json" in responses["422"]["content"]
    named = set(_references(document))
    assert named
    assert {reference.removeprefix("#/components/schemas/") for reference in named} <= set(schemas_of)
    assert api.get("/docs").is_success


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []
