"""Reads config.yaml, and says what is wrong with settings: every bad key, where it stands and what was expected."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from autoops.errors import SettingsError
from autoops.redaction import redact
from autoops.setting_types import secret_settings

_NOT_YAML = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises: of text that is not what its tag or look promises, such as 2023-13-45, whatever Python does."""


def beside(path: Path, named: Path, key: str) -> Path:
    """What the file at `path` names relative to itself."""
    try:
        return (path.parent / named).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"{key}: {str(named)!r} is no path: {error}") from None


def read(path: Path, hint: str) -> dict[str, Any]:
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
        # What begins with an underscore would be an option of pydantic-settings.
        if not isinstance(key, str) or key.startswith("_"):
            raise SettingsError(f"{path}: {key!r}: no such setting")
    return values


def refuse_unknown(variables: Iterable[str], prefix: str, sections: Collection[str]) -> None:
    for name in variables:
        section, separator, key = name.removeprefix(prefix).lower().partition("__")
        if section not in sections or not separator or not key:
            raise SettingsError(
                f"environment variable {name}: expected {prefix}SECTION__KEY with a section of " + ", ".join(sections)
            )


_REMOVED = {
    "serving.workers": "removed: the API is one process. Delete the setting; for more throughput run replicas behind "
    "the gateway (docs/stack.md, 'More replicas')",
}
"""Settings of earlier releases, and what to do instead."""


def explain(error: ValidationError, settings: type[BaseModel]) -> str:
    """Without the values of what may be secret in `settings`."""
    lines = []
    secrets = {place for section, key in secret_settings(settings) for place in (section, f"{section}.{key}")}
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: {_REMOVED.get(key, 'no such setting')}")
        elif ".".join(key.split(".")[:2]) in secrets:
            lines.append(f"{key}: {problem['msg']}, got {type(problem['input']).__name__}")
        else:
            lines.append(f"{key}: {problem['msg']}, got {problem['input']!r}")
    return redact("; ".join(lines))


def _told(error: Exception) -> str:
    """Without the line that PyYAML quotes, which may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return type(error).__name__ if isinstance(error, yaml.YAMLError) else str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', None) or 'not understood'}"
