"""The verb `backtest`: policies on history, side by side."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from autoops import console
from autoops.cli.options import Json, Months
from autoops.errors import InputError

if TYPE_CHECKING:
    from autoops.backtest.results.summary import Result

verbs = typer.Typer()


@verbs.command()
def backtest(
    months: Months,
    source: Annotated[str | None, typer.Option(help="Folder or base URL of raw months; default: data.source.")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="One of them; may be repeated. Default: all.")] = None,
    label_lag_months: Annotated[str, typer.Option(help="Months until a month comes out, with its labels.")] = "0,2",
    changes_from: Annotated[str | None, typer.Option(help="First month of a change, where one is known.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of the policy blind.")] = 10,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: half of the cores.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for results; default: storage.home/backtest.")] = None,
    json: Json = False,
) -> None:
    """Walk policies forward over published months with production's own code: error, retrainings, what they saved.

    A run that was broken off goes on where it was: what it trained, scored and walked is kept in the output folder.
    """
    from autoops.backtest import study
    from autoops.backtest.policies import POLICIES
    from autoops.backtest.results import picture
    from autoops.backtest.results.table import told
    from autoops.ingestion.sources import open_source
    from autoops.months import Month, parse_months
    from autoops.settings import load_settings

    settings = load_settings()
    folder = (output or settings.storage.home / "backtest").absolute()
    asked = study.Study(
        settings=settings,
        months=tuple(parse_months(months)),
        lags=_lags(label_lag_months),
        policies=tuple(policy or POLICIES),
        workspace=folder / "work",
        seeds=seeds,
        jobs=jobs or max(1, (os.cpu_count() or 1) // 2),
        changes_from=Month.parse(changes_from) if changes_from else None,
    )
    raw = open_source(settings.data.model_copy(update={"source": source or settings.data.source}), settings.contract)
    with console.progress("walking") as report:
        result = study.run(asked, raw, report, lambda order, simulated: console.note(told(order, simulated)))
    (folder / "backtest.json").write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    picture.draw(result, folder / "backtest.png")
    _show(result, json, folder)


def _lags(text: str) -> tuple[int, ...]:
    """Return the lags in months, each once, in order.

    Raises:
        InputError: `text` is no comma list of whole numbers.
    """
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise InputError(f"--label-lag-months {text!r}: expected whole months, such as 0,2") from None


def _show(result: "Result", json: bool, folder: Path) -> None:
    from autoops.backtest.results.table import tables

    if json:
        console.show(result, True, "")
        return
    for title, columns, rows in tables(result):
        console.table(title, columns, rows)
    console.show(None, False, f"{folder / 'backtest.json'}, {folder / 'backtest.png'}")
