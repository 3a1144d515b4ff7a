"""Functions that a declaration names as `module:function`: of a file beside it, else of an installed package."""

import difflib
import hashlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from autoops.errors import SettingsError


class FunctionName(str):
    """A name `module:function`; `folder` is that of the declaration, None where it came from a version's bundle."""

    folder: Path | None = None

    @classmethod
    def of(cls, name: str, folder: Path | None) -> "FunctionName":
        """Return the name with the folder of its declaration."""
        named = cls(name)
        named.folder = folder
        return named


def beside(named: str, folder: Path) -> str:
    """Return the function with the path of its module, where that is a file in the folder of the declaration."""
    module, colon, name = named.partition(":")
    file = folder / f"{module}.py"
    return f"{file}:{name}" if colon and module.isidentifier() and file.is_file() else named


def resolve(named: str, key: str) -> Callable[..., Any]:
    """Return the function that a declaration names under `key`: `module:function`, or `path.py:function`.

    A module beside the declaration comes first. It is imported under a name of its own, so that a `clean.py` there
    hides no other module of that name, nor one of another declaration. It imports its neighbours by `from . import`.

    Raises:
        SettingsError: the module cannot be imported, or has no such function.
    """
    module, _, name = named.rpartition(":")
    folder: Path | None = getattr(named, "folder", None)
    if module.endswith(".py"):
        folder, module = Path(module).parent, Path(module).stem
    try:
        imported = _imported(module, folder)
    # A user's module may raise anything while it is imported.
    except Exception as error:
        nearby = f"; it is not in {folder} either" if folder and isinstance(error, ModuleNotFoundError) else ""
        told = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        raise SettingsError(f"{key}: {named!s} cannot be imported: {told}{nearby}") from error
    found = getattr(imported, name, None)
    if not callable(found):
        near = difflib.get_close_matches(name, vars(imported), n=1)
        raise SettingsError(f"{key}: {module} has no function {name!r}{f', but {near[0]}' if near else ''}")
    return found  # type: ignore[no-any-return]


def _imported(module: str, folder: Path | None) -> ModuleType:
    top = module.partition(".")[0]
    if folder is None or not ((folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file()):
        return importlib.import_module(module)
    package = f"autoops_usecase_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    if package not in sys.modules:
        made = ModuleType(package)
        # What makes a module a package: where its submodules are looked for.
        made.__path__ = [str(folder)]
        sys.modules[package] = made
    # A file that was written since the folder was last listed would not be found.
    importlib.invalidate_caches()
    return importlib.import_module(f"{package}.{module}")
