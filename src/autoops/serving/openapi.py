"""What FastAPI's own OpenAPI document does not say: bodies that the endpoints parse themselves, and problems."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from autoops.serving.problems import MEDIA_TYPE
from autoops.serving.schemas import GroundTruthBatch, Problem, Trip, TripBatch

_REFERENCE = "#/components/schemas/{model}"
_MODELS = (Trip, TripBatch, GroundTruthBatch, Problem)


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route that takes this model."""
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these."""
    content = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def complete(app: FastAPI) -> None:
    """Adds the schemas that the two above refer to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        _, schemas = models_json_schema([(model, "validation") for model in _MODELS], ref_template=_REFERENCE)
        document["components"]["schemas"].update(schemas["$defs"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]
