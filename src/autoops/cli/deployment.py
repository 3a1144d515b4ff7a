"""Verbs that keep an installation: migrate, bootstrap, prune."""

from typing import Annotated

import typer

from autoops import console
from autoops.cli.identity import actor
from autoops.cli.options import Json
from autoops.settings import load_settings

verbs = typer.Typer()


@verbs.command()
def migrate(
    to: Annotated[
        str | None, typer.Option("--to", help="Go back to this revision, for the release that uses it.")
    ] = None,
    json: Json = False,
) -> None:
    """Bring the database to the newest revision, or with `--to` back to an earlier one; keeps all rows."""
    from autoops import database

    engine = database.connect(load_settings())
    before, after = database.upgrade(engine) if to is None else database.downgrade(engine, to)
    where = engine.url.render_as_string(hide_password=True)
    what = f"is at revision {after}" if before == after else f"from {before or 'nothing'} to revision {after}"
    console.show({"database": where, "before": before, "after": after}, json, f"{where}: {what}")


@verbs.command()
def bootstrap(
    months: Annotated[list[str] | None, typer.Option("--months", help="Default: the newest published window.")] = None,
    json: Json = False,
) -> None:
    """Train and promote a first version; does nothing where a champion is."""
    from autoops.bootstrap import pipeline
    from autoops.loop.first_version import train_first_version

    made = train_first_version(
        pipeline(migrate=True), months=",".join(months) if months else None, reason="first model", actor=actor()
    )
    console.show(made, json, made["outcome"])


@verbs.command()
def prune(json: Json = False) -> None:
    """Delete predictions and ground truth older than `storage.retention_days`, but for what is still to be judged."""
    from datetime import timedelta

    from autoops.bootstrap import pipeline
    from autoops.errors import SettingsError
    from autoops.loop import retention

    built = pipeline(migrate=True)
    days = built.settings.storage.retention_days
    if days is None:
        raise SettingsError("storage.retention_days: null keeps everything for ever; how many days are to be kept?")
    before = built.clock.now() - timedelta(days=days)
    pruned = retention.prune(built, before)
    value = {"before": before.isoformat(), "predictions": pruned.predictions, "labels": pruned.labels}
    console.show(
        value, json, f"deleted {pruned.predictions} predictions and {pruned.labels} labels of before {before:%Y-%m-%d}"
    )
