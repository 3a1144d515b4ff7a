"""Derived features: of the calendar of event times, or computed by a function of the use case.

Such a function takes columns by name and returns one number per row. It runs wherever rows become model inputs, also in
the API, so it must be pure and needs no more than numpy. A version's bundle names the function of its training; it is
run only if the declaration of this installation names it too, because no bundle may choose what code runs.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import numpy as np

from autoops.errors import FeatureError, SettingsError
from autoops.usecase.calendar import calendar
from autoops.usecase.columns import EVENT_AT, Array, Columns
from autoops.usecase.contract import Contract
from autoops.usecase.functions import FunctionName, resolve
from autoops.usecase.rows import array_of

_DECLARED: dict[str, FunctionName] = {}
"""The functions that declarations read by this process name: those that versions of them may name."""

_EXAMPLE_AT = datetime(2026, 1, 15, 9, 30)


def declare(contract: Contract) -> None:
    """Let versions use the functions that this declaration names."""
    for derived in contract.derived.values():
        if isinstance(derived.function, FunctionName) and derived.function.folder:
            _DECLARED[derived.function] = derived.function


def check(contract: Contract) -> None:
    """Require that each function is there and computes an example row.

    Raises:
        SettingsError: a function cannot be imported, raises, or returns no array of one number per row.
    """
    rows = {name: array_of(feature, [feature.typical] * 2) for name, feature in contract.features.items()}
    rows[EVENT_AT] = np.array([_EXAMPLE_AT] * 2, dtype="datetime64[us]")
    for name, derived in contract.derived.items():
        if derived.function is not None:
            try:
                _called(contract, name, rows)
            except FeatureError as error:
                raise SettingsError(f"{error} (of an example row)") from error


def column(contract: Contract, name: str, rows: Columns) -> Array:
    """Return a feature, declared or derived, of shape (rows,).

    Raises:
        FeatureError: its function raises, or returns something else than one finite number per row.
        SettingsError: its function is not there.
    """
    derived = contract.derived.get(name)
    if derived is None or name in rows:
        return rows[name]
    if derived.calendar is not None:
        return calendar(derived.calendar, rows[EVENT_AT], contract.zone)
    values = _called(contract, name, rows)
    odd = np.isinf(values) if derived.missing == "allowed" else ~np.isfinite(values)
    if odd.any():
        what = f"{values[odd][0]:g} for {odd.sum()} of {len(values)} rows, first for row {odd.argmax()}"
        allow = "" if derived.missing == "allowed" else "; `missing: allowed` permits nan"
        raise FeatureError(f"derived.{name}: {derived.function} returns {what}{allow}")
    return values


def function_of(contract: Contract, name: str) -> Callable[[Columns], Array]:
    """Return the function of a derived feature.

    Raises:
        SettingsError: it is not there, or the declaration of this installation does not name it.
    """
    named = contract.derived[name].function
    declared = named if isinstance(named, FunctionName) and named.folder else _DECLARED.get(str(named))
    if declared is None:
        raise SettingsError(f"derived.{name}: no function {named} is declared in the use case of this installation")
    return _resolved(declared, declared.folder, f"derived.{name}")


@lru_cache
def _resolved(named: str, _folder: object, key: str) -> Callable[[Columns], Array]:
    return resolve(named, key)


def _called(contract: Contract, name: str, rows: Columns) -> Array:
    """Return what the function computes as floats, after a look at its shape.

    Raises:
        FeatureError: the function raises, or returns something else than one number per row.
    """
    function, named = function_of(contract, name), contract.derived[name].function
    given = {}
    for each in (EVENT_AT, *contract.inputs):
        given[each] = rows[each].view()
        # What a function changed would be logged, and be the input of others.
        given[each].flags.writeable = False
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(function(given), dtype=np.float64)
    # A user's function may raise anything.
    except Exception as error:
        raise FeatureError(f"derived.{name}: {named} raises {type(error).__name__}: {error}") from error
    if values.shape != rows[EVENT_AT].shape:
        raise FeatureError(
            f"derived.{name}: {named} returns the shape {values.shape} for {len(rows[EVENT_AT])} rows; expected one "
            "number per row"
        )
    return values
