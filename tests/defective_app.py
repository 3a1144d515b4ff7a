"""The API with a route that fails as no code of ours should: `python -m tests.defective_app`."""

from typing import TYPE_CHECKING

from autoops.serving import server
from tests import serving_app

if TYPE_CHECKING:
    from fastapi import FastAPI


def create() -> "FastAPI":
    app = serving_app.create()

    @app.get("/defect")
    async def defect() -> None:
        try:
            {}["nothing"]
        except KeyError as error:
            raise ValueError("a mistake\nof two lines") from error

    return app


if __name__ == "__main__":
    server.run("tests.defective_app:create", serving_app._settings().serving)
