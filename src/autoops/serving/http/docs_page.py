"""The page /docs: Swagger UI, with every file served by this API, so that it works offline."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import distribution
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.responses import FileResponse

PAGE = "/docs"
_FOLDER = f"{PAGE}/assets"
_START_NAME = "start.js"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
ASSETS = tuple(f"{_FOLDER}/{name}" for name in (_START_NAME, *_FILES))

# Browsers keep the assets for a day; "private", because a key may be needed to get them.
_CACHED = {"Cache-Control": "private, max-age=86400"}

# URLs are relative, so that the page works behind any prefix. The policy makes browsers block every other host: a key
# that is typed here cannot be sent elsewhere. Swagger UI sets style attributes and has its icons as data URLs.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'self'; \
style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Auto-Ops API</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<link rel="icon" href="docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui" data-document="openapi.json"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
</body>
</html>
"""

# A file of its own, because the policy blocks inline scripts.
_START = """SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: document.getElementById("swagger-ui").dataset.document,
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""


def install(app: FastAPI) -> None:
    """Add the page and its assets. Only the files of the Swagger UI package are used; its code is not imported."""
    folder = Path(str(distribution("fastapi-swagger").locate_file("fastapi_swagger/resources")))

    def add(path: str, respond: Callable[[], Response]) -> None:
        async def endpoint(_request: Request) -> Response:
            return respond()

        app.add_route(path, endpoint, include_in_schema=False)

    add(PAGE, partial(Response, _PAGE, media_type="text/html"))
    add(f"{_FOLDER}/{_START_NAME}", partial(Response, _START, media_type="text/javascript", headers=_CACHED))
    for name, kind in _FILES.items():
        add(f"{_FOLDER}/{name}", partial(FileResponse, folder / name, media_type=kind, headers=_CACHED))
