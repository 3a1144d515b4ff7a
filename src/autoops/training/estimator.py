"""The estimator that `model.estimator` names, with `model.parameters`."""

import difflib
import importlib
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.utils import all_estimators

from autoops.errors import DataError, SettingsError
from autoops.settings import Model
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import Encoder, Inputs, check_features, vocabularies_of


def check_model(model: Model, contract: Contract) -> None:
    """Require features, an estimator and parameters that can be trained.

    Raises:
        SettingsError: one of them cannot; the message names it.
    """
    check_features(contract, model.features)
    build(model, contract)


def build(model: Model, contract: Contract) -> Any:
    """Return an unfitted regressor, or for a binary task a classifier.

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
    binary = contract.task == "binary"
    if not (is_classifier if binary else is_regressor)(estimator):
        wanted = "classifier, and the task is binary" if binary else "regressor"
        raise SettingsError(f"model.estimator: {model.estimator} is no {wanted}")
    if binary and not hasattr(estimator_class, "predict_proba"):
        raise SettingsError(f"model.estimator: {model.estimator} gives no probabilities (predict_proba)")
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


def encoder_of(contract: Contract, model: Model, rows: pd.DataFrame) -> Encoder:
    """Return the transform to model inputs, with the vocabularies of these rows."""
    return Encoder(contract, model.features, vocabularies_of(contract, columns_of(rows)))


def fit(model: Model, encoder: Encoder, rows: pd.DataFrame) -> Any:
    """Return an estimator fitted on rows with features and target.

    Some values of parameters fail only here.

    Raises:
        SettingsError: scikit-learn refuses a parameter; the message names it.
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
    except (ValueError, TypeError) as error:
        raise _refused(model, error) from None


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
    parameters: dict[str, Any] = estimator.get_params(deep=False)
    return {"estimator": f"{kind.__module__}.{kind.__qualname__}"} | parameters
