"""The folder of a drafted use case: its declaration, and a README with the next steps."""

from pathlib import Path

from autoops.errors import Conflict, InputError
from autoops.onboarding import pace
from autoops.onboarding.draft import Draft
from autoops.settings import Drift, Gate, Training
from autoops.usecase import declaration


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


def _readme(draft: Draft, folder: Path) -> str:
    contract = draft.contract
    settings = "\n".join([f"usecase: {folder}", *_settings(draft)])
    return f"""# {contract.name}

Drafted by Auto-Ops: predicts {contract.target.told} ({contract.task}) from {len(contract.features)} columns.

1. Read each line of `usecase.yaml` with a question mark, and correct it. `docs/usecases.md` explains the keys.
2. `autoops usecase check {folder}` reads the data, trains a small model, serves one row, and says what is refused.
3. In `config.yaml`:

```yaml
{settings}
```

4. `autoops train --months ...`, then `autoops up`.
"""


def _settings(draft: Draft) -> list[str]:
    """Return the sections of config.yaml that fit the rows per day."""
    if draft.span is None:
        return []
    per_day = draft.span.rows / draft.span.days
    sections: dict[str, list[str]] = {}
    for advice in pace.advise(per_day, draft.span.months, Training(), Gate(), Drift()):
        section, _, key = advice.setting.partition(".")
        sections.setdefault(section, []).append(f"  {key}: {advice.value}  # {advice.why}")
    return [line for section, lines in sections.items() for line in (f"{section}:", *lines)]
