"""Error responses as `application/problem+json` (RFC 9457), mapped from the exception classes in one place."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from autoops.errors import AutoOpsError, StorageUnavailable, Unavailable
from autoops.serving.payloads.schemas import FieldProblem, Problem
from autoops.serving.payloads.validation_errors import MOST_LISTED, InvalidRows, field_problem
from autoops.telemetry import logs

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = {"Retry-After": "1"}


def problem(
    status: int, detail: str, errors: list[FieldProblem] | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Return a problem with the current request's id; `errors` is left out if None."""
    title, request_id = HTTPStatus(status).phrase, logs.request_id()
    content = Problem(title=title, status=status, detail=detail, request_id=request_id, errors=errors)
    return Response(content.model_dump_json(exclude_none=True), status, headers, MEDIA_TYPE)


def busy(detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a 503 that asks the client to repeat the request after a second."""
    return problem(503, detail, headers=_RETRY_AFTER | dict(headers or {}))


def _on_autoops_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AutoOpsError)
    headers = _RETRY_AFTER if isinstance(error, Unavailable) else None
    if isinstance(error, StorageUnavailable):
        # For the log only: the message may name the database's host or file.
        logger.warning("%s", error)
        return problem(error.http_status, "the database is not available; nothing was stored", headers=headers)
    if error.http_status == HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("a request failed", exc_info=error)
        return _defect()
    return problem(error.http_status, str(error), headers=headers)


def _on_invalid_rows(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidRows)
    return problem(error.http_status, str(error), error.listed)


def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if found[0]["type"] == "json_invalid":
        return problem(400, f"the body is not JSON: {found[0]['ctx']['error']}")
    return _on_invalid_rows(_request, InvalidRows([field_problem(one) for one in found[:MOST_LISTED]], len(found)))


def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, headers=dict(error.headers or {}))


def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return problem(400, "the client left before its body was complete")


def _on_defect(_request: Request, _error: Exception) -> Response:
    """Return the response to an unhandled exception.

    Starlette calls this outside of all middleware, so the id has to be added here. It raises the exception again
    afterwards, and the server logs it.
    """
    return _defect({"X-Request-Id": logs.request_id() or "unknown"})


def _defect(headers: dict[str, str] | None = None) -> Response:
    return problem(500, "something went wrong here; the log of this process says what", headers=headers)


_HANDLERS: Mapping[type[Exception], Callable[[Any, Exception], Response]] = {
    AutoOpsError: _on_autoops_error,
    InvalidRows: _on_invalid_rows,
    RequestValidationError: _on_invalid_request,
    HTTPException: _on_http_exception,
    ClientDisconnect: _on_disconnect,
}


def install(app: FastAPI) -> None:
    """Register the handlers of all errors; an error of any other class gets 500, and the server logs it."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, _on_defect)


def answer_to(error: Exception) -> Response | None:
    """Return the response to an error, None if no handler is registered for its class."""
    # As Starlette does: the handler of the nearest base class.
    handler = next((_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS), None)
    return None if handler is None else handler(None, error)
