"""A route without FastAPI's work around each endpoint."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class Direct(APIRoute):
    """A route whose endpoint takes the request and returns the response.

    FastAPI's preparation for dependencies takes half as long as a prediction for each request, and these endpoints
    have none. OpenAPI declares the route like any other, and the app's handlers respond to its errors.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **declared: Any) -> None:
        super().__init__(path, endpoint, **declared)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app


def direct(routes: Iterable[Any]) -> dict[tuple[str, str], ASGIApp]:
    """Return the applications of the `Direct` routes by method and path; none has a parameter in its path."""
    found = (route for route in routes if isinstance(route, Direct))
    return {(method, route.path): route.app for route in found for method in route.methods}
