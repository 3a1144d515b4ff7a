"""Verbs on alerts: alerts send, alerts test, alerts list."""

from typing import Annotated

import typer

from autoops import console
from autoops.cli.options import Json
from autoops.errors import ReceiverUnavailable

verbs = typer.Typer(no_args_is_help=True, help="Telling people what happened.")


@verbs.command()
def send(json: Json = False) -> None:
    """Look after the monitor and the API, and tell what is new; exits with 6 where a receiver did not take it."""
    from autoops.alerts import rounds, watch
    from autoops.bootstrap import alerts

    built = alerts(migrate=True)
    # First, so that the conditions it records are sent in this round.
    wrong = watch.watch(built.context)
    delivered = rounds.tell(built)
    lines = [*wrong, f"{delivered.told} told, {delivered.waiting} wait", *delivered.failed.values()]
    console.show({"wrong": wrong, **delivered.to_json()}, json, "\n".join(lines))
    if delivered.failed:
        raise typer.Exit(ReceiverUnavailable.exit_code)


@verbs.command(name="test")
def try_out(json: Json = False) -> None:
    """Tell each receiver that this is a test; exits with 6 where one did not take it."""
    from autoops.alerts import rounds
    from autoops.bootstrap import alerts

    outcomes = rounds.try_all(alerts(migrate=True))
    lines = [f"{name}: {failed or 'told'}" for name, failed in outcomes.items()]
    console.show(outcomes, json, "\n".join(lines))
    if any(outcomes.values()):
        raise typer.Exit(ReceiverUnavailable.exit_code)


@verbs.command(name="list")
def show(limit: Annotated[int, typer.Option(help="The newest so many.")] = 20, json: Json = False) -> None:
    """List the newest alerts, and whether everybody has been told."""
    from autoops.bootstrap import alerts

    built = alerts(migrate=True)
    found = built.queue.alerts(limit=limit)
    value = [{"told_to": sorted(built.queue.told(alert.id)), **vars(alert)} for alert in found]
    if json or not found:
        console.show(value, json, "no alerts")
        return
    rows = [
        [f"{one['queued_at']:%Y-%m-%d %H:%M}", one["title"], ", ".join(one["told_to"]), one["last_failure"] or ""]
        for one in value
    ]
    console.table("Alerts", ["since (UTC)", "what", "told", "last failure"], rows)
