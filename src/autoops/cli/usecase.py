"""Verbs on use cases: init drafts a declaration, usecase check runs one dry."""

from pathlib import Path
from typing import Annotated

import typer

from autoops import console

verbs = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="Check the declaration of a use case.")

_STYLES = {"ok": None, "warning": "yellow", "refused": "red"}


@verbs.command()
def init(
    name: Annotated[str, typer.Argument(help="Of the use case: lower-case letters, digits and _.")],
    source: Annotated[Path, typer.Option("--from", help="A parquet or CSV file with the event time and the target.")],
    target: Annotated[str | None, typer.Option(help="The column that a model shall predict.")] = None,
    time: Annotated[str | None, typer.Option(help="The column of the event time.")] = None,
) -> None:
    """Draft a use case from a table: usecases/NAME/usecase.yaml, in which each guess has a question mark."""
    from autoops.onboarding import written
    from autoops.onboarding.draft import draft
    from autoops.onboarding.tables import read
    from autoops.settings import config_path

    drafted = draft(name, read(source), target, time)
    folder, config = written.write(drafted, Path("usecases") / name), config_path()
    configured = written.configure(drafted, folder, config)
    rows = [[found.raw, found.role, found.spec, found.why] for found in drafted.found]
    console.table(f"{source.name}: {drafted.span or 'no event time'}", ["column", "is", "declared as", "because"], rows)
    for note in drafted.notes:
        console.note(f"note: {note}", style="yellow")
    own = f" and {config}" if configured else ""
    told = f"wrote {folder / 'usecase.yaml'}, README.md{own}. Read each line with a question mark, then:"
    console.show(None, False, "\n  ".join([told, *written.commands(drafted, folder, configured)]))
    if not configured:
        console.show(None, False, f"{config} was there already: README.md has the lines for it that fit so many rows")


@group.command()
def check(
    path: Annotated[str, typer.Argument(help="A usecase.yaml, its folder, or the name of one that is built in.")],
) -> None:
    """Run a use case dry: read and clean its months, train a small model, serve one row. Nothing is kept."""
    from autoops.ingestion.sources import open_source
    from autoops.onboarding import dry_run
    from autoops.settings import load_settings

    settings = load_settings(usecase=path)
    refused = 0
    for line in dry_run.check(settings, open_source(settings.data, settings.contract)):
        console.note(f"{line.kind}: {line.text}", style=_STYLES[line.kind])
        refused += line.kind == "refused"
    if refused:
        console.note(f"{refused} of these would be refused", style="red")
        raise typer.Exit(3)
    console.note(f"{settings.contract.name} can be trained and served")
