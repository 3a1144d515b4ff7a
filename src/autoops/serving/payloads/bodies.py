"""Request bodies, read and parsed without FastAPI, whose own parsing takes longer than the prediction.

Memory and time stay in proportion to what a route allows: a body is rejected by its length before it is read, and by
its number of values before any of them becomes a Python object, which takes up to 70 times the bytes of the JSON.
"""

import re
from collections.abc import Collection
from typing import Any, TypeVar

import orjson
import pydantic_core
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from autoops.serving.payloads.validation_errors import NotJson, TooManyRows

JSON = "application/json"
_ONE_ROW_BYTES = 8 * 1024

_BATCH_BYTES, _BYTES_PER_FIELD = 64 * 1024, 85
_FREE_BYTES = 256 * 1024
"""A body of at most so many bytes is parsed without counting its values first."""

_MORE_VALUES_PER_ROW = 10
"""Room beside the fields of a row for a batch that is too large, so that the error can count rows."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or what follows an unclosed quote: without the end of the body, each quote in it would be tried anew."""

Model = TypeVar("Model", bound=BaseModel)


def row_bytes(fields: int) -> int:
    """Return the maximum body, in bytes, of a route that takes one row of `fields` fields."""
    return max(_ONE_ROW_BYTES, fields * 1024)


def batch_bytes(max_rows: int, fields: int) -> int:
    """Return the maximum body, in bytes, of a route that takes `max_rows` rows of `fields` fields."""
    return _BATCH_BYTES + max_rows * max(512, fields * _BYTES_PER_FIELD)


def media_type_of(request: Request, accepted: Collection[str]) -> str:
    """Return the media type of the body, without its parameters.

    Raises:
        HTTPException: 415; the body is compressed, or of another type than those accepted.
    """
    content_type = encoding = b""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-encoding":
            encoding = value
    if encoding and encoding.strip().lower() != b"identity":
        given = encoding[:100].decode("latin-1")
        detail = f"content-encoding: expected none, got {given}; send the body uncompressed"
        raise HTTPException(415, detail, {"Accept-Encoding": "identity"})
    media_type = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    if media_type not in accepted:
        expected, given = " or ".join(accepted), media_type[:100] or "none"
        raise HTTPException(415, f"content-type: expected {expected}, got {given}", {"Accept": ", ".join(accepted)})
    return media_type


async def read_body(request: Request, most: int) -> bytes:
    """Return the whole body.

    Raises:
        HTTPException: 413; the body or its Content-Length exceeds `most` bytes.
        ClientDisconnect: the client disconnected before the end.
    """  # noqa: DOC501 - the function that is raised returns it
    for name, value in request.scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise _too_long(most, f"{int(value)}")
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_long(most, "more")
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_long(most: int, given: str) -> HTTPException:
    return HTTPException(413, f"body: at most {most} bytes for this path, got {given}")


def loads(body: bytes, max_rows: int, fields: int) -> Any:
    """Return the JSON value of a body that may have `max_rows` rows of `fields` fields.

    Raises:
        TooManyRows: the body has more values than so many rows can have.
        NotJson: the body is not JSON.
    """
    _check_values(body, max_rows, fields)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # Takes NaN and integers of any size, so that the field that has one can be named.
        return pydantic_core.from_json(body)
    except ValueError as error:
        raise NotJson(f"the body is not JSON: {error}") from None


def _check_values(body: bytes, max_rows: int, fields: int) -> None:
    """Require that the body has no more values than `max_rows` rows can have.

    Raises:
        TooManyRows: it has more.
    """
    if len(body) <= _FREE_BYTES:
        return
    most = max_rows * (fields + _MORE_VALUES_PER_ROW) + 1000
    if (values := _values(body)) > most and (values := _values(_STRING.sub(b"", body))) > most:
        raise TooManyRows(f"rows: at most {max_rows} in one request, got {values} values, more than such rows have")


def _values(body: bytes) -> int:
    """Return about how many JSON values there are; commas and brackets in strings are counted too."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def parse_json(body: bytes, model: type[Model]) -> Model:
    """Return the one row of a body.

    Raises:
        RequestValidationError: the body is not JSON, or not a valid `model`.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None
