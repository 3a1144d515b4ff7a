"""The API with a route that fails as no code of ours should: `python -m tests.defective_app`."""

from fastapi import FastAPI

from tests import serving_app


def create() -> FastAPI:
    app = serving_app.create()

    @app.get("/defect")
    async def defect() -> None:
        try:
            {}["nothing"]
        except KeyError as error:
            raise ValueError("a mistake\nof two lines") from error

    return app


if __name__ == "__main__":
    serving_app.run(create())
