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
from autoops.serving.payloads.arrow_columns import ArrowColumns
from autoops.serving.payloads.bodies import JSON
from autoops.serving.payloads.formats import Formats
from autoops.serving.payloads.responses import ANSWERED_BY
from autoops.serving.payloads.schemas import Problem
from autoops.usecase.contract import Contract, Value

_REFERENCE = "#/components/schemas/{model}"
_OWN_ID = "docs-example-1"


JsonSchema = dict[str, Any]
"""A part of an OpenAPI document."""


class Documents:
    """What the OpenAPI document says of the routes that take and return rows."""

    def __init__(self, formats: Formats) -> None:
        models, contract = formats.models, formats.models.contract
        texts, self._plural = contract.api, contract.plural
        self._models, self._columns = models, ArrowColumns(models)
        self._arrow_fields = formats.answers.arrow_fields
        self._place = contract.event_time.told_zone
        self.predict = texts.predict or (
            f"Predict the {_told(contract.target.column)} of one {contract.row}; the prediction is in the log before "
            "the response is sent."
        )
        self.predict_batch = (
            f"Predict many {contract.plural} with one version, all or none; respond in the kind of the request, or as "
            "Accept says."
        )
        self.labels = texts.labels or (
            f"Store ground truth: the {_told(contract.target.column)} of {contract.plural}. A label for an id that is "
            "not known yet is kept; of two labels for one prediction the later counts; a malformed one is refused by "
            "position and the rest stored."
        )
        self._examples = _examples(formats)

    def body_of(self, model: type[BaseModel]) -> JsonSchema:
        """Return the `openapi_extra` of a route that takes this model."""
        content = {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}, "examples": self._examples[model]}
        return {"requestBody": {"required": True, "content": {JSON: content}}}

    def batch_body(self) -> JsonSchema:
        """Return the `openapi_extra` of the route that takes batches."""
        forms = self._models.row_batch, self._models.column_batch
        examples = self._examples[forms[0]] | self._examples[forms[1]]
        json = {"schema": _one_of(*forms), "examples": examples}
        content = {JSON: json, arrow.MEDIA_TYPE: _stream(self._taken_columns())}
        return {"requestBody": {"required": True, "content": content}}

    def batch_answers(self) -> dict[int | str, JsonSchema]:
        """Return the `responses` of that route on success."""
        columns = ", ".join(f"{name}: {kind}" for name, kind in self._arrow_fields.items())
        told = f"One record batch of {columns}. The schema's metadata has {ANSWERED_BY}, of all that is not repeated."
        content = {
            JSON: {"schema": _one_of(self._models.prediction_batch, self._models.prediction_column_batch)},
            arrow.MEDIA_TYPE: _stream(told),
        }
        return {200: {"description": "In the kind of the request, or as Accept says", "content": content}}

    def _taken_columns(self) -> str:
        columns = "; ".join(
            f"{name}: {kinds}{'' if name in self._columns.required else ', may be null or left out'}"
            for name, (_, kinds) in self._columns.columns.items()
        )
        return (
            f"The columns of {self._models.row_columns.__name__}, uncompressed and not dictionary-encoded. "
            f"{columns}. A timestamp without a zone is {self._place} time."
        )


def tags(contract: Contract) -> list[JsonSchema]:
    """Return the groups of the routes, in the order in which /docs shows them."""
    told = contract.api.tag or f"Predict {contract.plural}, and report what came of them."
    return [
        {"name": "predictions", "description": told},
        {"name": "model", "description": "The model version that answers."},
        {"name": "operations", "description": "For load balancers and Prometheus."},
    ]


def title(contract: Contract) -> str:
    """Return what the document says of the API as a whole."""
    predicted = f"Predictions of {_told(contract.target.column)} for {contract.plural}"
    return contract.api.title or f"{predicted} from the champion; each is logged before it is answered."


def _told(column: str) -> str:
    return column.replace("_", " ")


def _examples(formats: Formats) -> dict[type[BaseModel], JsonSchema]:
    """Return the examples of each body, without event times where they may be left out: then the row is of now."""
    models, contract = formats.models, formats.models.contract
    row = {name: feature.typical for name, feature in contract.features.items()}
    if contract.event_time.default == "required":
        row = {contract.event_time.column: "2026-01-15T09:30:00", **row}
    label = {"request_id": _OWN_ID, contract.target.column: _label(contract)}
    noun = contract.row
    return {
        models.row: {
            noun.replace(" ", "_"): {"summary": contract.api.example or f"One {noun}", "value": row},
            "own_id": {"summary": "The same with an id of your own", "value": row | {"request_id": _OWN_ID}},
        },
        models.row_batch: {"rows": {"summary": "Rows", "value": {models.rows_field: [row, row]}}},
        models.column_batch: {
            "columns": {
                "summary": "Columns",
                "value": {"columns": {name: [value, value] for name, value in row.items()}},
            }
        },
        models.ground_truth_batch: {
            "labels": {"summary": f"The label of the {noun} with your own id", "value": {"labels": [label]}}
        },
    }


def _label(contract: Contract) -> Value:
    target = contract.target
    if contract.task == "binary":
        assert target.positive is not None
        return target.positive
    return target.example if target.example is not None else target.middle


def _one_of(*models: type[BaseModel]) -> JsonSchema:
    return {"oneOf": [{"$ref": _REFERENCE.format(model=model.__name__)} for model in models]}


def _stream(description: str) -> JsonSchema:
    return {"schema": {"type": "string", "format": "binary", "description": description}}


def problems(*statuses: int) -> dict[int | str, JsonSchema]:
    """Return the `responses` of a route for these error statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def complete(app: FastAPI, formats: Formats, finish: Callable[[JsonSchema], None] = lambda document: None) -> None:
    """Add the schemas that the routes refer to, then call `finish` with the document."""
    generate, models = app.openapi, formats.models
    requests = models.row, models.row_batch, models.column_batch, models.ground_truth_batch
    answers = models.prediction_batch, models.prediction_column_batch, Problem

    def openapi() -> JsonSchema:
        document = generate()
        _, taken = models_json_schema([(model, "validation") for model in requests], ref_template=_REFERENCE)
        _, given = models_json_schema([(model, "serialization") for model in answers], ref_template=_REFERENCE)
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


def bound(app: FastAPI, formats: Formats) -> None:
    """Add the minimum and maximum length of a body's lists to the document; the maximum is `serving.max_batch`.

    All columns get the same minimum, because none may be shorter than another.
    """
    generate, models, most = app.openapi, formats.models, formats.max_batch

    def openapi() -> JsonSchema:
        document = generate()
        for model in (models.row_batch, models.row_columns, models.ground_truth_batch):
            for field in document["components"]["schemas"][model.__name__]["properties"].values():
                for form in field.get("anyOf", [field]):
                    if form.get("type") == "array":
                        form |= {"minItems": 1, "maxItems": most}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
