"""Functions that a declaration names as `module:function`."""

import importlib
from collections.abc import Callable
from typing import Any

from autoops.errors import SettingsError


def resolve(named: str, key: str) -> Callable[..., Any]:
    """Return the function that a declaration names under `key`.

    Raises:
        SettingsError: the module cannot be imported, or has no such function.
    """
    module, _, name = named.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise SettingsError(f"{key}: {named!r} cannot be imported: {error}") from None
    if not callable(found):
        raise SettingsError(f"{key}: {module} has no function {name!r}")
    return found  # type: ignore[no-any-return]
