"""The estimator that `model.estimator` names, with `model.parameters`."""

import difflib
import importlib
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils import all_estimators

from autoops.errors import SettingsError
from autoops.features import check_features, feature_matrix
from autoops.settings import Model
from autoops.trips import TARGET, columns_of


def check_model(model: Model) -> None:
    """Require features, an estimator and parameters that can be trained.

    Raises:
        SettingsError: one of them cannot; the message names it.
    """
    check_features(model.features)
    build(model)


def build(model: Model) -> Any:
    """Return an unfitted regressor.

    Raises:
        SettingsError: the estimator or a parameter is invalid; the message names `model.estimator` or the parameter.
    """  # noqa: DOC501 - the function that is raised returns it
    estimator_class = _find(model.estimator)
    known = [name for name in inspect.signature(estimator_class).parameters if name not in ("args", "kwargs")]
    for name in model.parameters:
        if name not in known:
            raise SettingsError(
                f"model.parameters.{name}: {estimator_class.__name__} has no such parameter{_near(name, known)}; "
                f"it has {', '.join(known)}"
            )
    try:
        estimator = estimator_class(**model.parameters)
    except TypeError as error:
        # Such as an ensemble that requires another estimator as an argument.
        raise SettingsError(f"model.parameters: {error}") from None
    if not is_regressor(estimator):
        raise SettingsError(f"model.estimator: {model.estimator} is no regressor")
    try:
        # Private, but it is what `fit` begins with: a bad value is refused before data is read.
        estimator._validate_params()
    except ValueError as error:
        raise _refused(model, error) from None
    return estimator


def _near(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f", but {found[0]}" if found else ""


def _near_regressor(name: str) -> str:
    """Return a hint at scikit-learn's own regressor of nearly this name, with its path."""
    # The public path: the classes are in private modules, such as sklearn.ensemble._forest.
    paths = {
        kind.__name__: f"{kind.__module__.split('._')[0]}.{kind.__name__}" for _, kind in all_estimators("regressor")
    }
    found = difflib.get_close_matches(name, paths, n=1)
    return f"; did you mean {paths[found[0]]}?" if found else ""


def _refused(model: Model, error: Exception) -> SettingsError:
    # scikit-learn quotes the parameter's name in its messages.
    named = [name for name in model.parameters if f"'{name}'" in str(error)]
    return SettingsError(f"{f'model.parameters.{named[0]}' if named else 'model.parameters'}: {error}")


def _find(path: str) -> type[BaseEstimator]:
    module_name, _, name = path.rpartition(".")
    try:
        # A path without a dot leaves an empty module name, which raises ValueError.
        found = getattr(importlib.import_module(module_name), name, None)
    except (ImportError, ValueError) as error:
        raise SettingsError(f"model.estimator: {path!r} cannot be imported: {error}{_near_regressor(name)}") from None
    if not (inspect.isclass(found) and issubclass(found, BaseEstimator)):
        raise SettingsError(
            f"model.estimator: {path!r} is no scikit-learn estimator; expected a path such as "
            f"sklearn.ensemble.RandomForestRegressor{_near_regressor(name)}"
        )
    return found


def fit(model: Model, trips: pd.DataFrame) -> Any:
    """Return a regressor fitted on trips, one row per trip with TRIP_COLUMNS and the target in minutes.

    Some values of parameters fail only here.

    Raises:
        SettingsError: scikit-learn refuses a parameter; the message names it.
    """  # noqa: DOC501 - the function that is raised returns it
    estimator = build(model)
    try:
        return estimator.fit(inputs_of(trips, model.features), trips[TARGET].to_numpy())
    except (ValueError, TypeError) as error:
        raise _refused(model, error) from None


def predict(fitted: Any, trips: pd.DataFrame, features: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the predicted minutes, one per trip, of shape (rows,)."""
    return np.asarray(fitted.predict(inputs_of(trips, features)), dtype=np.float64).reshape(-1)


def inputs_of(trips: pd.DataFrame, features: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the model inputs of trips, of shape (rows, features)."""
    return feature_matrix(columns_of(trips), features)


def parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the estimator's class and its parameters, defaults included."""
    kind = type(estimator)
    parameters: dict[str, Any] = estimator.get_params(deep=False)
    return {"estimator": f"{kind.__module__}.{kind.__qualname__}"} | parameters
