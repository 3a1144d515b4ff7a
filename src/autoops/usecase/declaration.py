"""Reading of a declaration: a built-in use case by its name, or a YAML file of one's own."""

import difflib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from autoops.errors import SettingsError
from autoops.usecase import derived
from autoops.usecase.contract import Contract

FILE = "usecase.yaml"
DEFAULT = "taxi"
"""The use case of an installation that names none."""
_NOT_YAML = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises, for a value that does not fit its tag or pattern too."""

_BUILT_IN = files("autoops") / "usecases"
_UNION_TAGS = ("int", "float", "str", "bool", "literal['refused','allowed']")


@lru_cache
def built_in() -> tuple[str, ...]:
    """Return the names of the use cases that Auto-Ops brings, in order."""
    return tuple(sorted(folder.name for folder in _BUILT_IN.iterdir() if (folder / FILE).is_file()))


def load(named: str, beside: Path | None = None) -> Contract:
    """Return the contract of a built-in use case, or of the declaration at a path.

    `named` is a name, a file or a folder with a `usecase.yaml`; a relative path is relative to `beside`.

    Raises:
        SettingsError: there is no such use case, or its declaration is wrong; the message names the file, each wrong
            key and what was expected.
    """
    return _read(_path_of(named, beside))


def folder_of(named: str) -> Path:
    """Return the folder of a declaration, in which functions of its own are looked for.

    Raises:
        SettingsError: there is no such use case.
    """
    return Path(_path_of(named, None)).parent


def _path_of(named: str, beside: Path | None) -> str:
    if named in built_in():
        return str(_BUILT_IN / named / FILE)
    try:
        path = (beside or Path()) / Path(named).expanduser()
        path = path / FILE if path.is_dir() else path
        found = path.is_file()
    # A user without a home raises RuntimeError.
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"usecase: {named!r} is no path: {error}") from None
    if not found:
        near = difflib.get_close_matches(Path(named).name, built_in(), n=1)
        meant = f"; {near[0]} is one" if near else ""
        raise SettingsError(
            f"usecase: {named!r} is neither built in ({', '.join(built_in())}) nor a declaration: "
            f"{path.absolute()} does not exist{meant}"
        )
    return str(path.absolute())


def forget() -> None:
    """Read declarations anew from now on: one that a process has read stays as it was then."""
    _read.cache_clear()


@lru_cache
def _read(path: str) -> Contract:
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, *_NOT_YAML) as error:
        raise SettingsError(f"{path}: not readable: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: expected keys such as `name:`, got {type(content).__name__}")
    contract = parse(content, path, Path(path).parent)
    derived.declare(contract)
    return contract


def parse(content: Any, where: str, folder: Path | None = None) -> Contract:
    """Return the contract of a declaration's content; `where` it comes from begins the message.

    Functions that it names may be of files in `folder`.

    Raises:
        SettingsError: keys are missing, unknown or wrong; the message names each, and what was expected.
    """
    try:
        return Contract.model_validate(content, context={"folder": folder})
    except ValidationError as error:
        problems = dict.fromkeys(_told(problem) for problem in error.errors(include_url=False))
        raise SettingsError(f"{where}: {'; '.join(problems)}") from None


def _told(problem: Any) -> str:
    place = [str(part) for part in problem["loc"] if part not in _UNION_TAGS]
    key, kind = ".".join(place), problem["type"]
    if kind == "extra_forbidden":
        return f"{key}: no such key{_near(place)}"
    if kind == "missing":
        return f"{key}: missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not place:
        return message
    got = "" if kind == "value_error" else f", got {problem['input']!r}"
    return f"{key}: {message}{got}"


def _near(place: list[str]) -> str:
    """Return the keys that the part of the declaration has, the nearest first where one is near."""
    part: Any = Contract
    for name in place[:-1]:
        fields = getattr(part, "model_fields", {})
        if name in fields:
            part = _part_of(fields[name].annotation)
    known = list(getattr(part, "model_fields", {}))
    near = difflib.get_close_matches(place[-1], known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; expected one of {', '.join(known)}"


def _part_of(annotation: Any) -> Any:
    """Return the model in an annotation such as `dict[str, Feature]` or `Bounds | None`."""
    inside = [_part_of(one) for one in getattr(annotation, "__args__", ())]
    return annotation if hasattr(annotation, "model_fields") else next((one for one in inside if one), None)
