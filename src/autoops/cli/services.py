"""Verbs on services: up, down, status, serve, replay, demo."""

from typing import Annotated

import typer

from autoops import console
from autoops.cli.options import Json
from autoops.settings import load_settings

verbs = typer.Typer()


@verbs.command()
def serve() -> None:
    """Run the prediction API in the foreground."""
    import uvicorn

    from autoops.bootstrap import api

    settings = load_settings()
    uvicorn.run(
        api(settings), host=settings.serving.host, port=settings.serving.port, access_log=False, log_config=None
    )


@verbs.command()
def up(
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out mlflow, api or airflow; may be repeated.")
    ] = None,
) -> None:
    """Start MLflow, the API and Airflow on this machine, and wait until they are healthy."""
    from autoops import services
    from autoops.services.credentials import airflow_password

    settings = load_settings()
    services.up(settings, without or (), progress=lambda line: console.show(None, False, line))
    console.show(
        None, False, f"Airflow  {settings.airflow_url}  {settings.airflow.username} / {airflow_password(settings)}"
    )
    console.show(None, False, f"MLflow   {settings.mlflow.tracking_uri}")
    console.show(None, False, f"API      {settings.api_url}/docs")


@verbs.command()
def down() -> None:
    """Stop what `autoops up` started."""
    from autoops import services

    stopped = services.down(load_settings())
    console.show(None, False, "stopped" if stopped else "nothing was running")


@verbs.command()
def status(json: Json = False) -> None:
    """How the model is, on one screen: services, champion, last check, incidents."""
    from autoops import services
    from autoops.bootstrap import pipeline
    from autoops.errors import RegistryUnavailable
    from autoops.loop.overview import overview, sentences

    settings = load_settings()
    running = services.status(settings)
    lines = [f"{row.service:<22} {row.state.lower():<9} {row.complaint or row.url}" for row in running]
    try:
        state = overview(pipeline(settings, migrate=True))
        lines += ["", *sentences(state)]
    except RegistryUnavailable as error:
        state = {"error": str(error)}
        lines += ["", f"model      unknown: {error}"]
    value = state | {"services": {row.service: row.complaint or "healthy" for row in running}}
    console.show(value, json, "\n".join(lines))
