"""The estimator that `model.estimator` names, with `model.parameters`.

It is the class of an estimator by its path, or a factory `module:function` that returns one from the parameters.
"""

import difflib
import importlib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import all_estimators

from autoops.errors import DataError, SettingsError
from autoops.settings import Model
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import Encoder, Inputs, vocabularies_of
from autoops.usecase.functions import resolve

BOOSTERS = {"xgboost": "XGB", "lightgbm": "LGBM", "catboost": "CatBoost"}
"""The packages of the extra `boosters`, and how the names of their estimators begin."""

_QUIET: Mapping[str, Mapping[str, Any]] = {
    "catboost": {"verbose": False, "allow_writing_files": False},
    "lightgbm": {"verbose": -1},
}
"""What boosters must be told not to write each round to the log, and files to the working directory."""
# CatBoost takes one of these alone.
_VERBOSE = {"verbose", "silent", "logging_level", "verbose_eval"}


def build(model: Model, contract: Contract) -> Any:
    """Return an unfitted regressor, or for a binary task a classifier.

    Raises:
        SettingsError: the estimator or a parameter is invalid; the message names `model.estimator` or the parameter.
    """  # noqa: DOC501 - the function that is raised returns it
    make = resolve(model.estimator, "model.estimator") if ":" in model.estimator else _find(model.estimator)
    _check_names(make, model)
    try:
        estimator = make(**_quiet(make, model.parameters))
    except Exception as error:  # a factory is the user's own code; an ensemble may require another estimator
        raise refused(model, error) from error
    _check_task(estimator, model, contract)
    try:
        # Private, but it is what `fit` begins with: a bad value is refused before data is read.
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
    except ValueError as error:
        raise refused(model, error) from None
    return estimator


def _check_names(make: Any, model: Model) -> None:
    arguments = inspect.signature(make).parameters
    known = [name for name, one in arguments.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if len(known) < len(arguments):
        # XGBoost's classes take **kwargs and know their names. Those of a factory that does are known by calling it.
        if not inspect.isclass(make):
            return
        default: Any = make()
        known = list(dict.fromkeys([*known, *default.get_params()]))
    for name in model.parameters:
        if name not in known:
            raise SettingsError(
                f"model.parameters.{name}: {make.__name__} has no such parameter{_near(name, known)}; "
                f"it has {', '.join(known) or 'none'}"
            )


def _quiet(make: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    quiet = _QUIET.get(make.__module__.partition(".")[0], {})
    said = _VERBOSE & parameters.keys()
    return {name: value for name, value in quiet.items() if not (said and name in _VERBOSE)} | parameters


def _check_task(estimator: Any, model: Model, contract: Contract) -> None:
    binary = contract.task == "binary"
    try:
        fits = (is_classifier if binary else is_regressor)(estimator)
    except (AttributeError, TypeError):  # a factory's result that is no estimator at all
        fits = False
    if not fits:
        wanted = "classifier, and the task is binary" if binary else "regressor"
        raise SettingsError(f"model.estimator: {model.estimator} is no {wanted}")
    if binary and not hasattr(type(estimator), "predict_proba"):
        raise SettingsError(f"model.estimator: {model.estimator} gives no probabilities (predict_proba)")


def _near(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1)
    return f", but {found[0]}" if found else ""


def _near_estimator(name: str) -> str:
    """Return a hint at an estimator of scikit-learn or a booster of nearly this name, with its path."""
    # The public path: the classes are in private modules, such as sklearn.ensemble._forest.
    paths = {
        kind.__name__: f"{kind.__module__.split('._')[0]}.{kind.__name__}"
        for _, kind in all_estimators(["regressor", "classifier"])
    }
    for package, prefix in BOOSTERS.items():
        paths |= {f"{prefix}{task}": f"{package}.{prefix}{task}" for task in ("Regressor", "Classifier")}
    found = difflib.get_close_matches(name, paths, n=1)
    return f"; did you mean {paths[found[0]]}?" if found else ""


def refused(model: Model, error: Exception) -> SettingsError:
    """Return the error of the settings that an error of the estimator is, by the parameter that it names."""
    # scikit-learn quotes the parameter's name in its messages, boosters do not.
    why = str(error).strip().partition("\n")[0]
    named = [name for name in model.parameters if f"'{name}'" in why]
    named = named or [name for name in model.parameters if len(name) > 3 and re.search(rf"\b{re.escape(name)}\b", why)]
    where = f"model.parameters.{named[0]}" if named else "model.parameters"
    return SettingsError(f"{where}: {why or type(error).__name__}")


def _find(path: str) -> type[Any]:
    module_name, _, name = path.rpartition(".")
    try:
        # A path without a dot leaves an empty module name, which raises ValueError.
        found = getattr(importlib.import_module(module_name), name, None)
    except (ImportError, ValueError) as error:
        if getattr(error, "name", None) in BOOSTERS:
            raise SettingsError(
                f"model.estimator: {path!r} needs the extra `boosters`: pip install '.[boosters]' in the checkout"
            ) from None
        raise SettingsError(f"model.estimator: {path!r} cannot be imported: {error}{_near_estimator(name)}") from None
    if not (inspect.isclass(found) and all(hasattr(found, one) for one in ("fit", "predict", "get_params"))):
        raise SettingsError(
            f"model.estimator: {path!r} is no scikit-learn estimator; expected a path such as "
            f"sklearn.ensemble.RandomForestRegressor, or a factory module:function{_near_estimator(name)}"
        )
    return found


def encoder_of(contract: Contract, model: Model, rows: pd.DataFrame) -> Encoder:
    """Return the transform to model inputs, with the vocabularies of these rows."""
    return Encoder(contract, model.features, vocabularies_of(contract, columns_of(rows)))


def fit(model: Model, encoder: Encoder, rows: pd.DataFrame) -> Any:
    """Return an estimator fitted on rows with features and target.

    Some values of parameters fail only here.

    Raises:
        SettingsError: the estimator refuses a parameter; the message names it.
        DataError: a binary target has one value only.
    """  # noqa: DOC501 - the function that is raised returns it
    contract = encoder.contract
    estimator, target = build(model, contract), rows[TARGET].to_numpy()
    if contract.task == "binary":
        target = target.astype(np.int64)
        if len(np.unique(target)) < 2:
            raise DataError(f"training: all {contract.plural} have the same {contract.target.column}")
    try:
        return estimator.fit(inputs_of(rows, encoder), target)
    except MemoryError:
        raise
    except Exception as error:  # boosters raise classes of their own
        raise refused(model, error) from error


def predict(fitted: Any, rows: pd.DataFrame, encoder: Encoder) -> npt.NDArray[np.float64]:
    """Return the predictions, of shape (rows,)."""
    return outputs(fitted, inputs_of(rows, encoder))


def outputs(fitted: Any, inputs: Inputs) -> npt.NDArray[np.float64]:
    """Return predictions for model inputs, of shape (rows,): of a classifier the probability of the positive class."""
    if is_classifier(fitted):
        return np.asarray(fitted.predict_proba(inputs)[:, 1], dtype=np.float64)
    return np.asarray(fitted.predict(inputs), dtype=np.float64).reshape(-1)


def inputs_of(rows: pd.DataFrame, encoder: Encoder) -> Inputs:
    """Return the model inputs of rows, of shape (rows, features)."""
    return encoder.matrix(columns_of(rows))


def parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the estimator's class and its parameters, defaults included."""
    kind = type(estimator)
    # Those of a Pipeline's steps, and not the steps.
    parameters = {name: value for name, value in estimator.get_params().items() if not _has_estimators(value)}
    return {"estimator": f"{kind.__module__}.{kind.__qualname__}"} | parameters


def _has_estimators(value: Any) -> bool:
    return hasattr(value, "get_params") or (isinstance(value, list | tuple) and any(map(_has_estimators, value)))
