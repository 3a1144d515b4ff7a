"""Request bodies, parsed past FastAPI: its own way of it takes longer than the prediction."""

from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

JSON = "application/json"

Model = TypeVar("Model", bound=BaseModel)


def media_type_of(request: Request) -> str:
    """Of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request) -> bytes:
    """Raises HTTPException 415 for what is not sent as JSON."""
    if media_type_of(request) != JSON:
        raise HTTPException(415, f"expected a JSON object, sent as content-type {JSON}")
    return await request.body()


def parse_json(body: bytes, model: type[Model]) -> Model:
    """Raises RequestValidationError."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None
