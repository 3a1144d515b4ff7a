"""Reading of config.yaml, and reports on bad settings: every bad key, its place and what was expected."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from autoops.errors import SettingsError
from autoops.redaction import redact
from autoops.settings.types import secret_settings, sections_of

_NOT_YAML = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises. A value that does not fit its tag or pattern, such as 2023-13-45, raises any error of Python."""


def beside(path: Path, named: Path, key: str) -> Path:
    """Return `named` as an absolute path, relative to the folder of the file at `path`.

    Raises:
        SettingsError: `named` is no path.
    """
    try:
        return (path.parent / named).resolve()
    # A circle of links raises RuntimeError up to Python 3.12, a NUL byte ValueError.
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"{key}: {str(named)!r} is no path: {error}") from None


def read(path: Path, hint: str) -> dict[str, Any]:
    """Return the sections in the file, unchecked; {} for an empty one. `hint` ends the message on a missing file.

    Raises:
        SettingsError: the file is missing, cannot be read or is not YAML, or its keys cannot be names of sections.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; {hint}") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except _NOT_YAML as error:
        raise SettingsError(f"{path}: not valid YAML: {_told(error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: expected sections such as `data:`, got {type(values).__name__}")
    for key in values:
        # A key with a leading underscore would be an option of pydantic-settings.
        if not isinstance(key, str) or key.startswith("_"):
            raise SettingsError(f"{path}: {key!r}: no such setting")
    return values


def refuse_unknown(variables: Iterable[str], prefix: str, settings: type[BaseModel], known: Collection[str]) -> None:
    """Refuse variables that are meant for a setting and would be ignored.

    `known` are variables of Auto-Ops that are no settings. Other variables with a similar prefix are ignored.

    Raises:
        SettingsError: a variable resembles a setting but is none, or has the prefix but no section and key.
    """
    sections = {section: keys.model_fields for section, keys in sections_of(settings).items()}
    single = [f"{prefix}{name}".upper() for name in settings.model_fields if name not in sections]
    right = {
        name: name for section, keys in sections.items() for name in (_variable(prefix, section, key) for key in keys)
    }
    right |= {_variable(prefix, *old.split(".")): _variable(prefix, *new.split(".")) for old, new in _RENAMED.items()}
    for name in variables:
        prefixed = name.upper().startswith(prefix)
        section, _, key = name.upper().removeprefix(prefix).lower().partition("__")
        # What follows, as in MODEL__PARAMETERS__N_JOBS, is a key of a mapping.
        key = key.partition("__")[0]
        inside = prefixed and section in sections and bool(key)
        if (
            name in known
            or name.upper() in single
            or (inside and (key in sections[section] or f"{section}.{key}" in _REMOVED | _RENAMED))
        ):
            continue
        meant = _meant(name, right)
        if meant is not None:
            raise SettingsError(f"environment variable {name}: no such setting; {meant} is one")
        # Inside a section an unknown key is left to pydantic, whose error names it.
        if prefixed and not inside:
            raise SettingsError(
                f"environment variable {name}: expected {prefix}SECTION__KEY with a section of " + ", ".join(sections)
            )


def _variable(prefix: str, section: str, key: str) -> str:
    return f"{prefix}{section}__{key}".upper()


def _meant(name: str, right: Mapping[str, str]) -> str | None:
    """Return the setting with the same letters and digits, else a similar one, else None; `right` has the present name
    of each."""
    letters = {re.sub("[^A-Z0-9]", "", one): present for one, present in right.items()}
    near = difflib.get_close_matches(re.sub("[^A-Z0-9]", "", name.upper()), letters, n=1, cutoff=0.9)
    return letters[near[0]] if near else None


def drop_replaced(
    values: dict[str, object], variables: Collection[str], prefix: str, settings: type[BaseModel]
) -> None:
    """Remove from the file's values each mapping that a variable replaces as a whole; pydantic would merge the two."""
    given = {name.upper() for name in variables}
    for section, keys in sections_of(settings).items():
        inside = values.get(section)
        for key, knob in keys.model_fields.items():
            is_replaced = f"{prefix}{section}__{key}".upper() in given and str(knob.annotation).startswith("dict")
            if is_replaced and isinstance(inside, dict):
                inside.pop(key, None)


_REMOVED = {
    "gate.max_model_mb": "removed: the gate keeps to what replicas load. Delete it and set serving.max_model_mb",
    "serving.workers": "removed: the API is one process. Delete the setting; for more throughput run replicas behind "
    "the gateway (docs/stack.md, 'More replicas')",
}
"""Settings of earlier releases, and what to do instead."""


_RENAMED = {
    "training.regret_looks": "training.post_promotion_looks",
    "training.refresh_months": "training.retrain_after_months",
}
"""Settings of earlier releases by their present names. The old names are taken until 1.0."""


def rename(values: dict[str, object], where: str) -> None:
    """Give settings under the names of earlier releases their present names; `where` the values come from.

    Raises:
        SettingsError: a setting is there under both names.
    """
    for old, new in _RENAMED.items():
        (section, before), (_, after) = old.split("."), new.split(".")
        inside = values.get(section)
        if isinstance(inside, dict) and before in inside:
            if after in inside:
                raise SettingsError(f"{where}: {old} is called {new} by now, and both are set: delete {old}")
            inside[after] = inside.pop(before)


def explain(error: ValidationError, settings: type[BaseModel]) -> str:
    """Return what is wrong with each setting, without the values of `settings` that may be secret."""
    lines = []
    # Whole sections, too: where one is no mapping, the error's input is all of it.
    secrets = {place for section, key in secret_settings(settings) for place in (section, f"{section}.{key}")}
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: {_REMOVED.get(key) or f'no such setting{_near(key, settings)}'}")
        elif ".".join(key.split(".")[:2]) in secrets:
            lines.append(f"{key}: {problem['msg']}, got {type(problem['input']).__name__}")
        else:
            lines.append(f"{key}: {problem['msg']}, got {problem['input']!r}")
    return redact("; ".join(lines))


def _near(key: str, settings: type[BaseModel]) -> str:
    """Return a hint at a setting with a similar name, empty if there is none."""
    section, _, rest = key.partition(".")
    names: list[str] = list(settings.model_fields)
    if rest:
        keys = sections_of(settings).get(section)
        names = [f"{section}.{one}" for one in keys.model_fields] if keys else []
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.7)
    return f"; {near[0]} is one" if near else ""


def _told(error: Exception) -> str:
    """Return the place and reason of the error, without the line that PyYAML quotes, which may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return type(error).__name__ if isinstance(error, yaml.YAMLError) else str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', None) or 'not understood'}"
