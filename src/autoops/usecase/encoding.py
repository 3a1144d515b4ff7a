"""Model inputs from rows: the one transform that training, the monitor and serving share."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from autoops.errors import SettingsError
from autoops.usecase.calendar import OF_HOURS, Hours, local_hours
from autoops.usecase.columns import EVENT_AT, Array, Columns
from autoops.usecase.contract import Contract, Feature, Value
from autoops.usecase.derived import column, function_of
from autoops.usecase.rows import RawInputs

Inputs = npt.NDArray[np.float32]
"""Model inputs, of shape (rows, features)."""

Vocabularies = Mapping[str, Sequence[Value]]
"""The values of each category that a version was trained on, in the order of their codes."""

UNSEEN = -1
"""The code of a category that the version was not trained on."""


def check_features(contract: Contract, names: Sequence[str]) -> None:
    """Require a list of at least one feature of the contract, each once.

    Raises:
        SettingsError: a name is no feature, a name is listed twice, or there is none.
    """
    known = (*contract.features, *contract.derived)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise SettingsError(f"model.features: {name!r} is none of {', '.join(known)}{meant}")
    if len(set(names)) != len(names) or not names:
        raise SettingsError("model.features: expected at least one feature, each listed once")


def vocabularies_of(contract: Contract, rows: Columns) -> dict[str, tuple[Value, ...]]:
    """Return the values that occur in each category, in order."""
    return {
        name: tuple(np.unique(_present(rows[name])).tolist())
        for name, feature in contract.features.items()
        if feature.type == "category"
    }


def _present(values: Array) -> Array:
    if values.dtype == object:
        return np.array([value for value in values if isinstance(value, str)], dtype=object)
    return values[~np.isnan(values)] if values.dtype.kind == "f" else values


class Encoder:
    """The transform from rows to the inputs of one version: contract, features in order, and vocabularies.

    Immutable and safe to share between threads.

    Raises:
        SettingsError: the function of a derived feature is not there.
    """

    def __init__(self, contract: Contract, features: Sequence[str], vocabularies: Vocabularies) -> None:
        self.contract = contract
        self.features = tuple(features)
        self.vocabularies = {name: tuple(values) for name, values in vocabularies.items()}
        derived = contract.derived
        self._codes = [(place, self._code(name)) for place, name in enumerate(self.features) if name not in derived]
        self._calendar: list[tuple[int, Callable[[Hours], Hours]]] = []
        self._functions: list[tuple[int, str]] = []
        for place, name in enumerate(self.features):
            if name in derived and (of := derived[name].calendar):
                self._calendar.append((place, OF_HOURS[of]))
            elif name in derived:
                # Looked up before the first row: a version without its function is not served.
                function_of(contract, name)
                self._functions.append((place, name))
        self._known = [(name, _Vocabulary(self.vocabularies.get(name, ()))) for name in contract.told_apart]
        order = contract.inputs
        self._seen = [(order.index(name), frozenset(self.vocabularies.get(name, ()))) for name in contract.told_apart]

    def matrix(self, rows: Columns) -> Inputs:
        """Return model inputs, shape (rows, features), in the order of `features`.

        Raises:
            FeatureError: the function of a derived feature computes none of these rows.
        """
        event_at = rows[EVENT_AT]
        inputs = np.empty((len(event_at), len(self.features)), dtype=np.float32)
        for position, code in self._codes:
            inputs[:, position] = code(rows)
        if self._calendar:
            # Once for all features of the calendar.
            hours = local_hours(event_at, self.contract.zone)
            for position, of_hours in self._calendar:
                inputs[:, position] = of_hours(hours)
        for position, name in self._functions:
            inputs[:, position] = column(self.contract, name, rows)
        return inputs

    @property
    def may_miss(self) -> bool:
        """Return whether an input can be NaN."""
        return any(missing for missing, _ in self.edges)

    @property
    def edges(self) -> list[tuple[bool, bool]]:
        """Return of each input whether it can be missing, and whether it can be the code of an unseen category."""
        features, derived = self.contract.features, self.contract.derived
        declared = [features[name] if name in features else derived[name] for name in self.features]
        return [(one.missing == "allowed", isinstance(one, Feature) and one.is_text) for one in declared]

    def known(self, rows: Columns) -> npt.NDArray[np.bool_]:
        """Return a mask, shape (rows,), of the rows whose categories all occurred in training."""
        known = np.ones(len(rows[EVENT_AT]), dtype=bool)
        for name, vocabulary in self._known:
            known &= vocabulary.codes(rows[name]) != UNSEEN
        return known

    def knows(self, inputs: RawInputs) -> bool:
        """Return whether all categories of one row's raw values occurred in training; a missing value is known."""
        for place, seen in self._seen:
            value = inputs[place]
            if value is not None and value not in seen:
                return False
        return True

    def _code(self, name: str) -> Callable[[Columns], Array]:
        if not self.contract.features[name].is_text:
            return lambda rows: rows[name]
        vocabulary = _Vocabulary(self.vocabularies.get(name, ()))
        return lambda rows: vocabulary.codes(rows[name])


class _Vocabulary:
    """Values by their codes: the positions in the vocabulary, UNSEEN for a value that is not in it, NaN for none."""

    def __init__(self, values: Sequence[Value]) -> None:
        self._code: dict[Any, int] = {value: code for code, value in enumerate(values)}
        # Integers, which np.isin looks up in a table.
        self._numbers = np.array([value for value in values if not isinstance(value, str)], dtype=np.int64)

    def codes(self, values: Array) -> Array:
        """Return the code of each value, shape (rows,); of numbers 0 for every known one."""
        if values.dtype.kind not in "OU":
            codes = np.where(np.isin(values, self._numbers), 0, UNSEEN)
            return np.where(np.isnan(values), np.nan, codes) if values.dtype.kind == "f" else codes
        get = self._code.get
        return np.array([np.nan if value is None else get(value, UNSEEN) for value in values.tolist()], np.float64)
