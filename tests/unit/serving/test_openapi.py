"""The document of the API."""

from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from autoops.serving.http import openapi


class Counted(FastAPI):
    built = 0

    def openapi(self) -> dict[str, Any]:
        self.built += 1
        return super().openapi()


def test_the_document_is_built_once_and_at_the_first_request() -> None:
    app = Counted(root_path="/taxi")
    openapi.serve_once(app)
    client = TestClient(app)
    assert app.built == 0
    first, again = (client.get("/openapi.json") for _ in range(2))
    assert first.json()["servers"] == [{"url": "/taxi"}]
    assert (again.content, app.built) == (first.content, 1)
