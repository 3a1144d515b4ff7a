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
    from autoops.storage import database

    settings = load_settings()
    engine, use_case = database.connect(settings), settings.contract.name
    before, after = database.upgrade(engine, use_case) if to is None else database.downgrade(engine, to)
    where = engine.url.render_as_string(hide_password=True)
    what = f"is at revision {after}" if before == after else f"from {before or 'nothing'} to revision {after}"
    console.show({"database": where, "before": before, "after": after}, json, f"{where}: {what}")


@verbs.command()
def bootstrap(
    months: Annotated[list[str] | None, typer.Option("--months", help="Default: the newest published window.")] = None,
    json: Json = False,
) -> None:
    """Train and promote a first version; does nothing where a champion is."""
    from autoops.bootstrap import context
    from autoops.loop.retrain.first_version import train_first_version

    made = train_first_version(
        context(migrate=True), months=",".join(months) if months else None, reason="first model", actor=actor()
    )
    console.show(made, json, made["outcome"])


@verbs.command()
def prune(
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="Then write SQLite's file anew; nobody can write meanwhile.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete what is older than the settings under `storage` keep it; the DAG `prune` does so every day."""
    from autoops.bootstrap import context
    from autoops.loop import housekeeping
    from autoops.services import airflow_records
    from autoops.storage import database

    built = context(migrate=True)
    swept = housekeeping.prune(built)
    if vacuum:
        database.compact(built.log.engine)
    logs = airflow_records.prune(built.settings, built.clock)
    if logs is not None:
        swept.append(housekeeping.Swept("log files of Airflow, with its old runs", logs, "storage.airflow_days"))
    value = {one.what: one.deleted for one in swept}
    lines = [f"deleted {one.deleted:>9} {one.what} ({one.keep})" for one in swept]
    console.show(value, json, "\n".join(lines) or "every setting under storage is null: nothing is ever deleted")
