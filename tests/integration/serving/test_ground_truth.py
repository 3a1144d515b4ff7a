from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from autoops.serving.payloads.schemas import GroundTruthReceipt
from autoops.storage import tables
from autoops.storage.predictions import LogSelection, PredictionLog
from tests.integration.serving.conftest import TRIP

UNKNOWN = "01890000-0000-7000-8000-000000000000"


def post(api: httpx.Client, *labels: Any) -> GroundTruthReceipt:
    answer = api.post("/ground-truth", json={"labels": list(labels)})
    assert answer.status_code == 200, answer.text
    return GroundTruthReceipt.model_validate_json(answer.content, extra="forbid")


def truths(engine: sa.Engine) -> list[float]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(tables.ground_truth.c.target).order_by(tables.ground_truth.c.id)))


def test_either_id_attaches_a_label(api: httpx.Client, engine: sa.Engine) -> None:
    by_prediction = api.post("/predict", json=TRIP).json()["prediction_id"]
    by_request = api.post("/predict", json=TRIP | {"request_id": "ride-1"}).json()["prediction_id"]
    receipt = post(
        api,
        {"prediction_id": by_prediction, "trip_duration_minutes": 12.5},
        {"request_id": "ride-1", "trip_duration_minutes": 7},
    )
    assert receipt == GroundTruthReceipt(stored=2, attached=2, pending=[], refused=[])
    labelled = PredictionLog(engine).latest_labelled(LogSelection(1), 10)
    assert {row.logged.id: row.target for row in labelled} == {by_prediction: 12.5, by_request: 7.0}


def test_a_label_for_an_id_not_seen_yet_is_kept_and_reported(api: httpx.Client, engine: sa.Engine) -> None:
    receipt = post(
        api,
        {"prediction_id": UNKNOWN, "trip_duration_minutes": 5},
        {"request_id": "later", "trip_duration_minutes": 6},
    )
    assert receipt == GroundTruthReceipt(stored=2, attached=0, pending=[0, 1], refused=[])
    api.post("/predict", json=TRIP | {"request_id": "later"})
    assert [row.target for row in PredictionLog(engine).latest_labelled(LogSelection(1), 10)] == [6.0]


def test_of_two_labels_the_later_counts_and_both_are_kept(api: httpx.Client, engine: sa.Engine) -> None:
    prediction = api.post("/predict", json=TRIP).json()["prediction_id"]
    post(api, {"prediction_id": prediction, "trip_duration_minutes": 10})
    post(api, {"prediction_id": prediction, "trip_duration_minutes": 11})
    assert truths(engine) == [10.0, 11.0]
    assert [row.target for row in PredictionLog(engine).latest_labelled(LogSelection(1), 10)] == [11.0]


MALFORMED: list[tuple[Any, str]] = [
    (5, "body: "),
    (None, "body: "),
    ({}, "trip_duration_minutes: Field required"),
    ({"prediction_id": UNKNOWN}, "trip_duration_minutes: Field required"),
    ({"trip_duration_minutes": 5}, "exactly one"),
    ({"prediction_id": UNKNOWN, "request_id": "a", "trip_duration_minutes": 5}, "exactly one"),
    ({"prediction_id": "not an id", "trip_duration_minutes": 5}, "prediction_id: "),
    ({"prediction_id": UNKNOWN, "trip_duration_minutes": 0}, "trip_duration_minutes: "),
    ({"prediction_id": UNKNOWN, "trip_duration_minutes": -3}, "trip_duration_minutes: "),
    ({"prediction_id": UNKNOWN, "trip_duration_minutes": 1440.1}, "trip_duration_minutes: "),
    ({"prediction_id": UNKNOWN, "trip_duration_minutes": "5"}, "trip_duration_minutes: "),
    ({"prediction_id": UNKNOWN, "trip_duration_minutes": True}, "trip_duration_minutes: "),
    ({"prediction_id": UNKNOWN, "trip_duration_minutes": 5, "extra": 1}, "extra: "),
]


def test_a_malformed_label_is_refused_by_position_and_the_rest_stored(api: httpx.Client, engine: sa.Engine) -> None:
    good = {"request_id": "ride-1", "trip_duration_minutes": 1440}
    mixed = [label for wrong, _ in MALFORMED for label in (wrong, good)]
    receipt = post(api, *mixed)
    assert receipt.stored == len(MALFORMED)
    assert receipt.pending == list(range(1, len(mixed), 2))
    assert [refused.position for refused in receipt.refused] == list(range(0, len(mixed), 2))
    for refused, (_, reason) in zip(receipt.refused, MALFORMED, strict=True):
        assert reason in refused.reason
    assert truths(engine) == [1440.0] * len(MALFORMED)


def test_nothing_but_malformed_labels_stores_nothing(api: httpx.Client, engine: sa.Engine) -> None:
    assert post(api, {}).stored == 0
    assert truths(engine) == []


@pytest.mark.parametrize("word", ["NaN", "Infinity", "1e999"])
def test_a_duration_that_is_no_number_is_refused(api: httpx.Client, word: str) -> None:
    body = f'{{"labels": [{{"request_id": "a", "trip_duration_minutes": {word}}}]}}'
    answer = api.post("/ground-truth", content=body, headers={"content-type": "application/json"})
    assert [refused["position"] for refused in answer.json()["refused"]] == [0]


def test_labels_are_counted_by_what_became_of_them(api: httpx.Client) -> None:
    prediction = api.post("/predict", json=TRIP).json()["prediction_id"]
    labels = (
        {"prediction_id": prediction, "trip_duration_minutes": 5},
        {"request_id": "x", "trip_duration_minutes": 5},
        {},
    )
    post(api, *labels)
    lines = api.get("/metrics").text.splitlines()
    for status in ("attached", "pending", "refused"):
        assert f'autoops_ground_truth_labels_total{{status="{status}"}} 1.0' in lines
