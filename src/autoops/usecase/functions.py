"""Functions that a declaration names as `module:function`."""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from autoops.errors import SettingsError


def beside(named: str, folder: Path) -> str:
    """Return the function with the path of its module, where that is a file in the folder of the declaration."""
    module, colon, name = named.partition(":")
    file = folder / f"{module}.py"
    return f"{file}:{name}" if colon and module.isidentifier() and file.is_file() else named


def resolve(named: str, key: str) -> Callable[..., Any]:
    """Return the function that a declaration names under `key`: `module:function`, or `path.py:function`.

    Raises:
        SettingsError: the module cannot be imported, or has no such function.
    """
    module, _, name = named.rpartition(":")
    try:
        found = getattr(_module(module), name, None)
    except Exception as error:  # whatever the user's module raises while it runs
        raise SettingsError(f"{key}: {named!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        near = difflib.get_close_matches(name, vars(_module(module)), n=1)
        raise SettingsError(f"{key}: {module} has no function {name!r}{f', but {near[0]}' if near else ''}")
    return found  # type: ignore[no-any-return]


def _module(named: str) -> ModuleType:
    if not named.endswith(".py"):
        return importlib.import_module(named)
    # Known by its path: two use cases may have files of one name, and none may hide a module of Python's own.
    if named not in sys.modules:
        spec = importlib.util.spec_from_file_location(named, named)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # Before it runs, as for every import: its classes name it as their module.
        sys.modules[named] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[named]
            raise
    return sys.modules[named]
