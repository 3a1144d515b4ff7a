"""The folder of a drafted use case: its declaration, and a README with the next steps."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from autoops.cadence import SPARSE
from autoops.errors import Conflict, InputError, SettingsError
from autoops.months import parse_months
from autoops.onboarding import pace
from autoops.onboarding.draft import Draft
from autoops.settings import Gate, Training, load_settings
from autoops.usecase import declaration

A_YEAR = 12


def write(draft: Draft, folder: Path) -> Path:
    """Write the draft to `folder`, which must not have a declaration yet, and return it.

    Raises:
        Conflict: there is a declaration in it.
        InputError: the folder cannot be written.
    """
    path = folder / declaration.FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # "x": a draft that was edited must not be lost.
        with path.open("x", encoding="utf-8") as file:
            file.write(draft.text)
        (folder / "README.md").write_text(_readme(draft, folder), encoding="utf-8")
    except FileExistsError:
        raise Conflict(f"{path} exists already: delete it, or give the use case another name") from None
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from None
    return folder


def configure(draft: Draft, folder: Path, path: Path) -> bool:
    """Write a config.yaml that names the use case, and return True; False if there is a file at `path` already.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write("# Settings that are not named here have their defaults.\n" + _config(draft, folder.absolute()))
    except FileExistsError:
        return False
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    return True


def commands(draft: Draft, folder: Path, configured: bool) -> list[str]:
    """Return the commands from the draft to a served and watched model; `configured` is whether a file names it."""
    trained, replayed = _months(draft)
    source = draft.contract.source.location
    usecase = [] if configured else [f"export AUTOOPS__USECASE={shlex.quote(str(folder.absolute()))}"]
    replay = f"autoops replay --source {shlex.quote(source)} --months {replayed}  # months as live traffic, with labels"
    return [
        f"autoops usecase check {shlex.quote(str(folder))}  # reads, trains small, serves a row: says what is refused",
        *usecase,
        "autoops up  # MLflow, the API, and Airflow, which checks for drift every hour",
        f"autoops train --months {trained}  # a version that beats the constant is promoted, and served",
        f"curl -s {_api_url(folder)}/predict -H 'content-type: application/json' -d " + shlex.quote(draft.request),
        *([replay] if replayed else []),
        "autoops check-drift  # judges the newest window of predictions and labels",
        "autoops status",
    ]


def _api_url(folder: Path) -> str:
    """Return the address of the API by the settings in force; the default where they do not fit the use case."""
    try:
        return load_settings(usecase=str(folder)).api_url
    except SettingsError:
        return "http://127.0.0.1:8000"
    finally:
        # The draft is to be edited, and another one may have stood here.
        declaration.forget()


def _months(draft: Draft) -> tuple[str, str]:
    """Return months to train on and months after them to replay, each as an option of the CLI."""
    months = list(draft.span.whole_months) if draft.span else []
    if not months:
        return "YYYY-MM..YYYY-MM", ""
    # Of a sparse table a retraining takes a year, too.
    wanted = A_YEAR if (_rows_per_day(draft) or 0) < SPARSE else Training().window_months
    after = 2 if len(months) > wanted + 1 else min(1, len(months) - 1)
    trained, replayed = months[: len(months) - after], months[len(months) - after :]
    return _option(trained[-wanted:]), _option(replayed)


def _option(months: Sequence[str]) -> str:
    if not months:
        return ""
    span = f"{months[0]}..{months[-1]}"
    is_gapless = [str(month) for month in parse_months(span)] == list(months)
    return span if is_gapless and len(months) > 1 else ",".join(months)


def _readme(draft: Draft, folder: Path) -> str:
    contract = draft.contract
    steps = "\n".join(commands(draft, folder, configured=True))
    return f"""# {contract.name}

Drafted by Auto-Ops: predicts {contract.target.told} ({contract.task}) from {len(contract.features)} columns.

1. Read each line of `usecase.yaml` with a question mark, and correct it. `docs/usecases.md` explains the keys.
2. `config.yaml` names the use case, and has settings that fit its rows. If there was none, it was written with this
   file; else put these lines into it:

```yaml
{_config(draft, folder)}```

3. From the declaration to a model that is served and watched:

```bash
{steps}
```
"""


def _config(draft: Draft, folder: Path) -> str:
    """Return the content of config.yaml: the use case, and what fits the rows per day."""
    usecase = f"usecase: {json.dumps(str(folder), ensure_ascii=False)}\n"
    training, rows = Training(), _rows_per_day(draft)
    if rows is None or (days := pace.holdout_days(rows, training, Gate())) == training.holdout_days:
        return usecase
    held_out = training.holdout_days * rows
    return f"{usecase}training:\n  holdout_days: {days}  # {training.holdout_days} days hold {held_out:.0f} rows\n"


def _rows_per_day(draft: Draft) -> float | None:
    return draft.span.rows / draft.span.days if draft.span else None
