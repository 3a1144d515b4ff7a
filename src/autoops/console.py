"""Output of the CLI: JSON for machines, a progress bar on a terminal, plain lines elsewhere."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from autoops.redaction import redact
from autoops.telemetry import logs

logger = logging.getLogger(__name__)

out = Console()
err = Console(stderr=True)


def show(value: Any, as_json: bool, plain: str) -> None:
    """Print the value as JSON if `as_json`, else `plain`; secrets are masked."""
    if as_json:
        # Not through Rich, which would wrap and style it.
        sys.stdout.write(redact(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()) + "\n")
    else:
        out.print(redact(plain), highlight=False, markup=False, soft_wrap=True)


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table to stdout, each row a list of its cells as they are; secrets in cells are masked."""
    drawn = Table(*columns, title=title, title_justify="left")
    for row in rows:
        # A string would be read as Rich's markup: a reason such as "see [/tmp/x]" ends the list with an error.
        drawn.add_row(*(Text(redact(cell)) for cell in row))
    out.print(drawn)


def note(line: str, style: str | None = None, level: int = logging.INFO) -> None:
    """Print a line beside the result, on stderr; where logs are JSON, log it instead."""
    if logs.as_json():
        logger.log(level, "%s", line)
    else:
        err.print(redact(line), style=style, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callback for (done, total): a bar on a terminal; elsewhere only one line at the end."""
    if not err.is_terminal:
        yield lambda done, total: None
        note(f"{label}: done")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
