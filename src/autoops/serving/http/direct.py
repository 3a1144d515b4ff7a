"""A route without what FastAPI keeps ready around each endpoint."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class Direct(APIRoute):
    """Of an endpoint that takes the request and makes the response. What FastAPI prepares for each request, for
    dependencies and their ends, takes as long as half of a prediction, and there are none. Declared in OpenAPI as any
    other; errors are answered by the app's handlers."""

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **declared: Any) -> None:
        super().__init__(path, endpoint, **declared)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app


def direct(routes: Iterable[Any]) -> dict[tuple[str, str], ASGIApp]:
    """Return the applications of such routes by method and path; none of them has a parameter in its path."""
    found = (route for route in routes if isinstance(route, Direct))
    return {(method, route.path): route.app for route in found for method in route.methods}
