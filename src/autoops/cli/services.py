"""Verbs on services: up, down, status, serve, exporter, console, replay, demo."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from autoops import console
from autoops.cli.options import Json, Months
from autoops.months import Month, parse_months
from autoops.redaction import public_url
from autoops.settings import load_settings
from autoops.telemetry import logs

verbs = typer.Typer()


@verbs.command()
def serve() -> None:
    """Run the prediction API in the foreground."""
    from autoops.bootstrap import api
    from autoops.serving.http import server

    logs.configure("api")
    settings = load_settings()
    server.run(api(settings), settings.serving)


@verbs.command()
def exporter() -> None:
    """Answer Prometheus with the figures of the loop, in the foreground."""
    from prometheus_client import start_http_server

    from autoops.bootstrap import figures

    logs.configure("exporter")
    settings = load_settings()
    where = settings.exporter
    _, serving = start_http_server(where.port, where.host, figures(settings))
    serving.join()


@verbs.command(name="console")
def serve_console() -> None:
    """Serve the console in the foreground: one page on what the loop notices, decides and waits for."""
    import signal
    import sys

    import uvicorn
    from uvicorn.config import STARTUP_FAILURE

    from autoops.bootstrap import console_app
    from autoops.cli.identity import actor
    from autoops.services.health import airflow_client

    logs.configure("console")
    settings = load_settings()

    def retrain(reason: str) -> str:
        with airflow_client(settings) as client:
            return f"Asked Airflow to retrain: run {client.trigger('retrain', {'reason': reason})}"

    app, where = console_app(settings, actor(), retrain), settings.console
    server = uvicorn.Server(
        uvicorn.Config(app, where.host, where.port, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )
    app.state.is_ending = lambda: server.should_exit
    # uvicorn raises the signal again at the end, which many supervisors take for a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.run()
    if not server.started:
        raise typer.Exit(STARTUP_FAILURE)


@verbs.command()
def up(
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out mlflow, api, exporter, console or airflow; may be repeated.")
    ] = None,
) -> None:
    """Start MLflow, the API, the exporter, the console and Airflow on this machine; wait until they are healthy."""
    from autoops import services
    from autoops.services.credentials import told_password

    settings = load_settings()
    services.up(settings, without or (), progress=lambda line: console.show(None, False, line))
    if "console" not in (without or ()):
        console.show(None, False, f"Console  {settings.console_url}")
    console.show(
        None, False, f"Airflow  {settings.airflow_url}  {settings.airflow.username} / {told_password(settings)}"
    )
    console.show(None, False, f"MLflow   {public_url(settings.mlflow.tracking_uri)}")
    console.show(None, False, f"API      {settings.api_url}/docs")
    console.show(None, False, f"Metrics  {settings.api_url}/metrics  {settings.exporter_url}/metrics")


@verbs.command()
def down() -> None:
    """Stop what `autoops up` started."""
    from autoops import services

    stopped = services.down(load_settings())
    console.show(None, False, "stopped" if stopped else "nothing was running")


@verbs.command()
def status(json: Json = False) -> None:
    """Show how the model is, on one screen: services, champion, last check, incidents, alerts."""
    from autoops import services
    from autoops.alerts import rounds
    from autoops.bootstrap import alerts
    from autoops.errors import RegistryUnavailable
    from autoops.loop.reports.overview import overview, sentences

    settings = load_settings()
    running = services.status(settings)
    lines = [f"{row.service:<22} {row.state.lower():<9} {row.complaint or row.url}" for row in running]
    if all(row.state == "STOPPED" for row in running):
        lines = ["services   none of this home (autoops up starts them)"]
    telling = alerts(settings, migrate=True)
    try:
        state = overview(telling.context)
        model: Mapping[str, object] = {**state}
        lines += ["", *sentences(state, telling.context.contract.plural)]
    except RegistryUnavailable as error:
        model = {"error": str(error)}
        lines += ["", f"model      unknown: {error}"]
    told = rounds.overview(telling)
    lines.append(rounds.sentence(told))
    healthy = {row.service: row.complaint or "healthy" for row in running}
    console.show({**model, "alerts": told, "services": healthy}, json, "\n".join(lines))


@verbs.command()
def replay(
    source: Annotated[str, typer.Option(help="Folder or base URL of the raw months.")],
    months: Months,
    url: Annotated[str | None, typer.Option(help="Of the API; default: the one of config.yaml.")] = None,
    sample: Annotated[int | None, typer.Option(help="Rows per month, spread over its days; default: all.")] = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second at most.")] = 150,
    speed: Annotated[float | None, typer.Option(help="Event seconds per second at most.")] = None,
    label_lag_days: Annotated[float, typer.Option(help="How long after its row a label is sent.")] = 1,
    publish_to: Annotated[Path | None, typer.Option(help="Folder that each month appears in when it is over.")] = None,
    json: Json = False,
) -> None:
    """Send months of rows through the API by event time, labels and publications following; 1 if a request failed."""
    from datetime import timedelta

    from autoops.ingestion.sources import open_source
    from autoops.replay.pace import Pace
    from autoops.replay.player import PlayOptions, Reporter, play
    from autoops.usecase.tasks import measure_key, measure_told

    settings = load_settings()
    contract = settings.contract
    options = PlayOptions(
        source=open_source(settings.data.model_copy(update={"source": source}), contract),
        months=parse_months(months),
        api_url=url or settings.api_url,
        contract=contract,
        api_headers=settings.api_headers,
        sample=sample,
        label_lag=timedelta(days=label_lag_days),
        publish_to=publish_to,
    )
    with console.progress("replay") as report:
        played = play(options, Pace(rate, speed), [Reporter(report)])
    key = measure_key(contract)
    parts: list[dict[str, Any]] = [
        {
            "month": f"{Month.of(p.event_at, contract.zone)}",
            "model_version": p.model_version,
            "rows": p.rows,
            key: p.mae,
        }
        for p in played.tally.by_month()
    ]
    value = {
        "requests": played.requests,
        "failed": played.failed,
        "labels": played.labels_sent,
        "labels_not_due": played.labels_not_due,
        "months": parts,
    }
    lines = [
        f"{part['month']} by version {part['model_version']}: {part['rows']} {contract.plural}, "
        f"{measure_told(contract, part[key])}"
        for part in parts
    ]
    console.show(value, json, "\n".join([*lines, *played.sentences()]))
    if played.failed:
        raise typer.Exit(1)


@verbs.command()
def demo(
    source: Annotated[str | None, typer.Option(help="Folder or URL of real months, instead of made-up ones.")] = None,
    months: Annotated[list[str] | None, typer.Option("--months", help="With --source: 2022-01..2022-08.")] = None,
    replayed: Annotated[int | None, typer.Option(help="Rows of each month that are sent.")] = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second.")] = None,
    keep: Annotated[bool, typer.Option(help="Leave everything up at the end, and print where.")] = False,
    acts: Annotated[
        str, typer.Option(help="core, or all: with a forced bad model that is rolled back, and a month of broken data.")
    ] = "core",
    usecase: Annotated[str | None, typer.Option(help="A built-in one; default: that of config.yaml.")] = None,
) -> None:
    """Show how a model degrades and heals itself: the whole loop on this machine, told as it happens."""
    from autoops.replay.demo.demo import DemoOptions, run
    from autoops.replay.demo.scenarios import parse_choice

    chosen = parse_months(months) if months else ()
    given: dict[str, Any] = {
        name: value for name, value in (("replayed", replayed), ("rate", rate)) if value is not None
    }
    options = DemoOptions(source, chosen, keep=keep, acts=parse_choice(acts), usecase=usecase, **given)
    raise typer.Exit(run(options))
