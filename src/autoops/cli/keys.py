"""Verbs on the API's keys: keys add, keys list, keys revoke."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from autoops import console
from autoops.cli.options import Json
from autoops.settings import load_settings

verbs = typer.Typer(no_args_is_help=True, help="Who may use the API: add, list, revoke.")


@verbs.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is; logs and answers name it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="predict, feedback or admin; may be repeated. Without one it may only look."),
    ] = None,
    rate: Annotated[str | None, typer.Option(help="Of its own, such as 20/second; default: the settings'.")] = None,
    replace: Annotated[bool, typer.Option(help="Give a key that is there a new secret; the old one ends.")] = False,
    stdin: Annotated[bool, typer.Option(help="Take the secret from stdin instead of making one.")] = False,
    json: Json = False,
) -> None:
    """Add a key and print its secret, which is kept nowhere. An API that runs takes it within seconds."""
    from autoops.clock import SystemClock
    from autoops.serving.auth.keys_file import add_key, new_secret

    secret = sys.stdin.readline().strip() if stdin else new_secret()
    add_key(_file(), name, scope or [], SystemClock().now(), secret=secret, rate_limit=rate, replace=replace)
    value = {"name": name, "scopes": scope or []}
    console.show(value if stdin else value | {"secret": secret}, json, f"{name}: as given" if stdin else secret)


@verbs.command("list")
def list_keys(json: Json = False) -> None:
    """Names, scopes and rates; secrets are kept nowhere."""
    from autoops.serving.auth.keys import read_keys

    known = read_keys(_file())
    value = [key.model_dump(mode="json", exclude={"sha256"}) for key in known]
    lines = [
        f"{key.name:<24} {' '.join(key.scopes) or 'looks only':<24} {key.rate_limit or '':<12} "
        f"since {key.created_at:%Y-%m-%d %H:%M} UTC"
        for key in known
    ]
    console.show(value, json, "\n".join(lines) or "no keys: nobody may come in")


@verbs.command()
def revoke(name: str, json: Json = False) -> None:
    """End a key. An API that runs refuses it within seconds."""
    from autoops.serving.auth.keys_file import revoke_key

    revoke_key(_file(), name)
    console.show({"revoked": name}, json, f"{name}: revoked")


def _file() -> Path:
    from autoops.errors import SettingsError

    path = load_settings().security.keys_file
    if path is None:
        raise SettingsError("security.keys_file: null; in which file are keys to be kept?")
    return path
