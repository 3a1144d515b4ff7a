"""A batch is the same batch as rows, as columns and as Arrow, and so is what comes back."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pyarrow as pa
import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator

from autoops.serving.payloads.arrow import MEDIA_TYPE
from autoops.serving.payloads.bodies import JSON
from autoops.serving.payloads.responses import AnswerEncoder
from autoops.storage.predictions import LogSelection, PredictionLog
from tests import taxi
from tests.arrow_streams import stream, trip_table
from tests.fakes import FakeRegistry, HeldClock
from tests.integration.serving.conftest import TRIP, Start
from tests.integration.serving.test_bad_input import problem_of

BATCH = "/predict/batch"
ARROW_FIELDS = AnswerEncoder(taxi.CONTRACT).arrow_fields
WANTS_ARROW, WANTS_JSON = {"accept": MEDIA_TYPE}, {"accept": JSON}
ARROW = {"content-type": MEDIA_TYPE, "accept": "*/*"}
MOMENTS = ["2023-03-12T02:30:00", "2023-11-05T01:30:00", "2023-07-01T14:00:00+02:00", None, "2023-01-10 10:30:00.25"]
NOW = datetime(2023, 3, 4, 5, 6, 7, tzinfo=UTC)


def trips(rows: int) -> list[dict[str, Any]]:
    return [
        {
            "pickup_at": MOMENTS[i % 5],
            "trip_distance": 0.5 + 0.01 * i,
            "passenger_count": i % 7 or None,
            "pickup_location_id": 1 + i % 265,
            "dropoff_location_id": 74,
        }
        for i in range(rows)
    ]


def in_columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def in_arrow(rows: Sequence[dict[str, Any]], **options: Any) -> bytes:
    return stream(pa.Table.from_pylist(list(rows)), **options)


def predicted(answer: httpx.Response) -> list[dict[str, Any]]:
    """The predictions as rows, whatever form they have."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] == MEDIA_TYPE:
        rows = pa.ipc.open_stream(answer.content).read_all().to_pylist()
        return [row | {"event_at": row["event_at"].astimezone(UTC)} for row in rows]
    body = answer.json()
    if "predictions" in body:
        batch: Any = taxi.PredictionBatch.model_validate_json(answer.content, extra="forbid")
        return [prediction.model_dump() for prediction in batch.predictions]
    batch = taxi.PredictionColumnBatch.model_validate_json(answer.content, extra="forbid")
    columns = batch.columns.model_dump()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def ids_apart(predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "prediction_id"} for row in predictions]


@pytest.mark.parametrize("rows", [1, 3, 700])
def test_every_form_gets_the_answers_of_single_trips_and_is_logged(start: Start, engine: sa.Engine, rows: int) -> None:
    api = start(clock=HeldClock(NOW))
    sent = trips(rows)
    forms = {
        "rows": predicted(api.post(BATCH, json={"trips": sent})),
        "columns": predicted(api.post(BATCH, json={"columns": in_columns(sent)})),
        "arrow": predicted(api.post(BATCH, content=in_arrow(sent, batch_rows=256), headers=ARROW)),
    }
    for position in {0, rows // 2, rows - 1}:
        single = taxi.Prediction.model_validate_json(api.post("/predict", json=sent[position]).content).model_dump()
        for form in forms.values():
            assert ids_apart([form[position]]) == ids_apart([single])
    assert ids_apart(forms["rows"]) == ids_apart(forms["columns"]) == ids_apart(forms["arrow"])
    ids = [row["prediction_id"] for form in forms.values() for row in form]
    logged = {row.id: row for row in PredictionLog(engine).latest(LogSelection(1), 10_000)}
    assert len(set(ids)) == 3 * rows
    for position, name in enumerate(ids):
        trip, row = sent[position % rows], logged[name]
        assert taxi.raw_of(row) == {
            "trip_distance": trip["trip_distance"],
            "passenger_count": trip["passenger_count"] or 0,
            "pickup_location_id": trip["pickup_location_id"],
            "dropoff_location_id": trip["dropoff_location_id"],
        }
        assert row.event_at == [*forms["rows"]][position % rows]["event_at"]


def test_the_answer_is_of_the_requests_kind_unless_the_other_is_wanted(api: httpx.Client) -> None:
    sent = trips(3)
    asked: list[tuple[dict[str, Any], str]] = [
        ({"json": {"trips": sent}}, JSON),
        ({"json": {"trips": sent}, "headers": WANTS_ARROW}, MEDIA_TYPE),
        ({"json": {"columns": in_columns(sent)}, "headers": WANTS_ARROW}, MEDIA_TYPE),
        ({"content": in_arrow(sent), "headers": ARROW}, MEDIA_TYPE),
        ({"content": in_arrow(sent), "headers": ARROW | WANTS_JSON}, JSON),
    ]
    for request, expected in asked:
        answer = api.post(BATCH, **request)
        assert answer.headers["content-type"] == expected
        assert [row["model_version"] for row in predicted(answer)] == [1, 1, 1]
    none = api.post(BATCH, json={"trips": sent}, headers={"accept": "text/csv"})
    assert MEDIA_TYPE in problem_of(none, 406).detail
    assert (
        "application/json"
        in problem_of(api.post(BATCH, content=b"1", headers={"content-type": "text/csv"}), 415).detail
    )


def test_an_arrow_answer_is_typed_and_names_its_version(api: httpx.Client) -> None:
    table = pa.ipc.open_stream(api.post(BATCH, content=in_arrow(trips(3)), headers=ARROW).content).read_all()
    assert [(field.name, field.type) for field in table.schema] == list(ARROW_FIELDS.items())
    assert table.schema.metadata == {b"model_version": b"1"}


def test_repeats_are_answered_as_before_in_every_form(start: Start, registry: FakeRegistry) -> None:
    api = start(poll_interval_s=3600)
    sent = [TRIP | {"request_id": f"ride-{i}"} for i in range(4)] + [TRIP | {"request_id": None}]
    first = predicted(api.post(BATCH, json={"trips": sent[:2]}))
    registry.set_alias("champion", 2)
    assert api.post("/model/reload").json()["swapped"]
    for body in (
        {"content": in_arrow(sent), "headers": ARROW},
        {"json": {"columns": in_columns(sent)}},
        {"json": {"trips": sent}},
    ):
        answers = predicted(api.post(BATCH, **body))  # type: ignore[arg-type]
        assert answers[:2] == [row | {"repeated": True} for row in first]
        assert [row["model_version"] for row in answers] == [1, 1, 2, 2, 2]
        assert not answers[4]["repeated"]
    assert [row["repeated"] for row in answers] == [True, True, True, True, False]


def test_a_batch_with_a_request_id_of_another_trip_is_refused_by_row_and_not_logged(
    api: httpx.Client, engine: sa.Engine
) -> None:
    """One row's id was used before, and another's by a row of the same batch."""
    assert api.post("/predict", json=TRIP | {"request_id": "ride-0"}).is_success
    other = TRIP | {"trip_distance": 9.0}
    sent = [TRIP | {"request_id": f"ride-{n}"} for n in range(3)] + [TRIP | {"request_id": None}]
    sent += [other | {"request_id": "ride-2"}]
    sent[0] = other | {"request_id": "ride-0"}
    for body, field in (
        ({"json": {"trips": sent}}, "trips.{}.request_id"),
        ({"json": {"columns": in_columns(sent)}}, "columns.request_id.{}"),
        ({"content": in_arrow(sent), "headers": ARROW}, "request_id.{}"),
    ):
        refused = problem_of(api.post(BATCH, **body), 422)  # type: ignore[arg-type]
        assert refused.errors is not None
        assert [error.field for error in refused.errors] == [field.format(0), field.format(4)]
        assert "another trip" in refused.errors[0].message
    assert PredictionLog(engine).count(LogSelection(1)) == 1
    assert api.post(BATCH, json={"trips": sent[1:4]}).is_success


def test_zones_unseen_in_training_are_marked_and_counted(api: httpx.Client) -> None:
    body = stream(trip_table(3, dropoff_location_id=pa.array([74, 265, 41])))
    assert [row["known_zones"] for row in predicted(api.post(BATCH, content=body, headers=ARROW))] == [False] * 3
    known = stream(trip_table(3, pickup_location_id=pa.array([74] * 3), dropoff_location_id=pa.array([74, 265, 41])))
    assert [row["known_zones"] for row in predicted(api.post(BATCH, content=known, headers=ARROW))] == [
        True,
        False,
        True,
    ]
    assert "autoops_unseen_category_predictions_total 4.0" in api.get("/metrics").text
    assert 'autoops_predictions_total{model_version="1"} 6.0' in api.get("/metrics").text


WRONG: list[tuple[dict[str, Any], int, list[str]]] = [
    ({"json": {}}, 422, ["body"]),
    ({"json": {"trips": [TRIP], "columns": in_columns([TRIP])}}, 422, ["body"]),
    (
        {"json": {"columns": {}}},
        422,
        ["columns.trip_distance", "columns.pickup_location_id", "columns.dropoff_location_id"],
    ),
    ({"json": {"columns": in_columns([TRIP]) | {"colour": ["green"]}}}, 422, ["columns.colour"]),
    ({"json": {"columns": in_columns([TRIP, TRIP | {"trip_distance": "2"}])}}, 422, ["columns.trip_distance.1"]),
    ({"json": {"columns": in_columns([TRIP, TRIP | {"passenger_count": 1.0}])}}, 422, ["columns.passenger_count.1"]),
    ({"json": {"columns": in_columns([TRIP, TRIP | {"pickup_at": "noon"}])}}, 422, ["columns.pickup_at.1"]),
    ({"json": {"columns": in_columns([TRIP]) | {"passenger_count": [1, 2]}}}, 422, ["columns.passenger_count"]),
    ({"json": {"columns": {name: [] for name in TRIP}}}, 422, ["columns.trip_distance"]),
    ({"content": in_arrow([TRIP | {"trip_distance": 0.0}]), "headers": ARROW}, 422, ["trip_distance.0"]),
    ({"content": in_arrow([TRIP | {"colour": "green"}]), "headers": ARROW}, 422, ["colour"]),
    ({"content": in_arrow([TRIP], compression="zstd"), "headers": ARROW}, 400, []),
    ({"content": in_arrow([TRIP])[:-100], "headers": ARROW}, 400, []),
    ({"content": b"", "headers": ARROW}, 400, []),
    ({"content": in_arrow([TRIP]), "headers": {"content-type": JSON}}, 400, []),
    ({"json": {"trips": [TRIP]}, "headers": ARROW}, 400, []),
]


@pytest.mark.parametrize(("request_", "status", "fields"), WRONG)
def test_a_mistake_names_the_column_and_the_row_and_nothing_is_logged(
    api: httpx.Client, engine: sa.Engine, request_: dict[str, Any], status: int, fields: list[str]
) -> None:
    problem = problem_of(api.post(BATCH, **request_), status)
    assert [found.field for found in problem.errors or []] == fields
    assert PredictionLog(engine).count(LogSelection(1)) == 0


def test_no_form_has_more_rows_than_allowed(start: Start) -> None:
    api = start(max_batch=5)
    for rows, status in ((5, 200), (6, 413)):
        sent = trips(rows)
        for request in (
            {"json": {"trips": sent}},
            {"json": {"columns": in_columns(sent)}},
            {"content": in_arrow(sent), "headers": ARROW},
            {"content": in_arrow(sent, batch_rows=2), "headers": ARROW},
        ):
            assert api.post(BATCH, **request).status_code == status  # type: ignore[arg-type]


def test_every_body_that_the_document_describes_is_taken_and_every_answer_is_as_described(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    operation = document["paths"][BATCH]["post"]
    bodies, answers = operation["requestBody"]["content"], operation["responses"]["200"]["content"]
    assert {*bodies} == {*answers} == {JSON, MEDIA_TYPE}
    assert {"406", "413", "415", "422", "503"} <= {*operation["responses"]}

    def fits(content: dict[str, Any], value: object) -> bool:
        schema = content[JSON]["schema"] | {"components": document["components"]}
        return bool(Draft202012Validator(schema).is_valid(value))

    sent = trips(3)
    for body in ({"trips": sent}, {"columns": in_columns(sent)}):
        assert fits(bodies, body)
        answer = api.post(BATCH, json=body)
        assert fits(answers, answer.json())
        assert not fits(answers, answer.json() | {"model_version": "one"})
    for request, _, _ in WRONG[:5]:
        assert not fits(bodies, request["json"])
    for name in taxi.TripColumns.model_fields:
        assert f"{name}: " in bodies[MEDIA_TYPE]["schema"]["description"]
    for name, kind in ARROW_FIELDS.items():
        assert f"{name}: {kind}" in answers[MEDIA_TYPE]["schema"]["description"]
    columns: Any = taxi.PredictionColumnBatch.model_fields["columns"].annotation
    assert {*columns.model_fields} == {*ARROW_FIELDS} == {*taxi.Prediction.model_fields}
    assert json.dumps(document)
