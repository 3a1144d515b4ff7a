"""Verbs that an installation runs before it serves: migrate, bootstrap."""

from typing import Annotated

import typer

from autoops import console
from autoops.cli.identity import actor
from autoops.cli.options import Json
from autoops.settings import load_settings

verbs = typer.Typer()


@verbs.command()
def migrate(json: Json = False) -> None:
    """Bring the database to the newest revision."""
    from autoops import database

    engine = database.connect(load_settings())
    before, after = database.upgrade(engine)
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
