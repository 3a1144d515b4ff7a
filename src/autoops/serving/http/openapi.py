"""Additions to FastAPI's OpenAPI document: bodies that the endpoints parse themselves, and error responses."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from autoops.serving.http.problems import MEDIA_TYPE
from autoops.serving.payloads import arrow
from autoops.serving.payloads.arrow_columns import COLUMNS, REQUIRED
from autoops.serving.payloads.bodies import JSON
from autoops.serving.payloads.responses import ANSWERED_BY, ARROW_FIELDS
from autoops.serving.payloads.schemas import (
    GroundTruthBatch,
    PredictionBatch,
    PredictionColumnBatch,
    Problem,
    Trip,
    TripBatch,
    TripColumnBatch,
    TripColumns,
)

_REFERENCE = "#/components/schemas/{model}"
_TAKEN = (Trip, TripBatch, TripColumnBatch, GroundTruthBatch)
_GIVEN = (PredictionBatch, PredictionColumnBatch, Problem)


JsonSchema = dict[str, Any]
"""A part of an OpenAPI document."""

TAGS: list[JsonSchema] = [
    {"name": "predictions", "description": "Predict trips, and report what they really took."},
    {"name": "model", "description": "The model version that answers."},
    {"name": "operations", "description": "For load balancers and Prometheus."},
]
"""The groups of the routes, in the order in which /docs shows them."""

# Without `pickup_at`, so that a trip sent from /docs begins now and is no outlier from another year.
_TRIP = {"trip_distance": 2.3, "passenger_count": 1, "pickup_location_id": 74, "dropoff_location_id": 41}
_COLUMNS = {name: [value, value] for name, value in _TRIP.items()}
_OWN_ID = "docs-example-1"
_LABEL = {"request_id": _OWN_ID, "trip_duration_minutes": 11.5}
_EXAMPLES: dict[type[BaseModel], JsonSchema] = {
    Trip: {
        "trip": {"summary": "A trip that begins now", "value": _TRIP},
        "own_id": {"summary": "The same with an id of your own", "value": _TRIP | {"request_id": _OWN_ID}},
    },
    TripBatch: {"rows": {"summary": "Rows", "value": {"trips": [_TRIP, _TRIP]}}},
    TripColumnBatch: {"columns": {"summary": "Columns", "value": {"columns": _COLUMNS}}},
    GroundTruthBatch: {"labels": {"summary": "The label of the trip with your own id", "value": {"labels": [_LABEL]}}},
}


def body_of(model: type[BaseModel]) -> JsonSchema:
    """Return the `openapi_extra` of a route that takes this model."""
    content = {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}, "examples": _EXAMPLES[model]}
    return {"requestBody": {"required": True, "content": {JSON: content}}}


def batch_body() -> JsonSchema:
    """Return the `openapi_extra` of the route that takes batches."""
    examples = _EXAMPLES[TripBatch] | _EXAMPLES[TripColumnBatch]
    json = {"schema": _one_of(TripBatch, TripColumnBatch), "examples": examples}
    content = {JSON: json, arrow.MEDIA_TYPE: _stream(_taken_columns())}
    return {"requestBody": {"required": True, "content": content}}


def batch_answers() -> dict[int | str, JsonSchema]:
    """Return the `responses` of that route on success."""
    columns = ", ".join(f"{name}: {kind}" for name, kind in ARROW_FIELDS)
    told = f"One record batch of {columns}. The schema's metadata has {ANSWERED_BY}, of all that is not repeated."
    content = {
        JSON: {"schema": _one_of(PredictionBatch, PredictionColumnBatch)},
        arrow.MEDIA_TYPE: _stream(told),
    }
    return {200: {"description": "In the kind of the request, or as Accept says", "content": content}}


def _one_of(*models: type[BaseModel]) -> JsonSchema:
    return {"oneOf": [{"$ref": _REFERENCE.format(model=model.__name__)} for model in models]}


def _stream(description: str) -> JsonSchema:
    return {"schema": {"type": "string", "format": "binary", "description": description}}


def _taken_columns() -> str:
    columns = "; ".join(
        f"{name}: {kinds}{'' if name in REQUIRED else ', may be null or left out'}"
        for name, (_, kinds) in COLUMNS.items()
    )
    return (
        "The columns of TripColumns, uncompressed and not dictionary-encoded. "
        f"{columns}. A timestamp without a zone is New York time."
    )


def problems(*statuses: int) -> dict[int | str, JsonSchema]:
    """Return the `responses` of a route for these error statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def complete(app: FastAPI, finish: Callable[[JsonSchema], None] = lambda document: None) -> None:
    """Add the schemas that the functions above refer to, then call `finish` with the document."""
    generate = app.openapi

    def openapi() -> JsonSchema:
        document = generate()
        _, taken = models_json_schema([(model, "validation") for model in _TAKEN], ref_template=_REFERENCE)
        _, given = models_json_schema([(model, "serialization") for model in _GIVEN], ref_template=_REFERENCE)
        document["components"]["schemas"].update(taken["$defs"] | given["$defs"])
        finish(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def serve_once(app: FastAPI) -> None:
    """Build the document at the first request, and respond to each with the same bytes."""
    path, built = app.openapi_url, list[bytes]()

    async def document(_request: Request) -> Response:
        if not built:
            # As FastAPI's own route does, which is replaced below.
            servers = {"servers": [{"url": app.root_path}]} if app.root_path else {}
            built.append(orjson.dumps(app.openapi() | servers))
        return Response(built[0], media_type=JSON)

    assert path is not None
    # FastAPI's route serialises the document anew at each request.
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", None) != path]
    app.add_route(path, document, include_in_schema=False)


def bound(app: FastAPI, most: int) -> None:
    """Add the minimum and maximum length of a body's lists to the document; the maximum `most` is a setting.

    All columns get the same minimum, because none may be shorter than another.
    """
    generate = app.openapi

    def openapi() -> JsonSchema:
        document = generate()
        for model in (TripBatch, TripColumns, GroundTruthBatch):
            for field in document["components"]["schemas"][model.__name__]["properties"].values():
                for form in field.get("anyOf", [field]):
                    if form.get("type") == "array":
                        form |= {"minItems": 1, "maxItems": most}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
