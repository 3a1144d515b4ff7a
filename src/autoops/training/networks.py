"""Neural networks as estimators: scikit-learn's, behind what they need of their inputs.

`model.estimator: autoops.training.networks:regressor` (or `classifier`) takes the parameters of MLPRegressor (or
MLPClassifier). Missing values are replaced by the median, and inputs are brought to mean 0 and variance 1: a network
that gets hundreds of euros beside shares learns nothing of the shares.
"""

import inspect
from typing import Any

from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def regressor(**parameters: Any) -> Pipeline:
    """Return an unfitted network for a number; `parameters` are those of MLPRegressor."""
    return _scaled(MLPRegressor(**parameters))


def classifier(**parameters: Any) -> Pipeline:
    """Return an unfitted network for a probability; `parameters` are those of MLPClassifier."""
    return _scaled(MLPClassifier(**parameters))


# So that a misspelt parameter is named before anything is fitted.
regressor.__signature__ = inspect.signature(MLPRegressor)  # type: ignore[attr-defined]
classifier.__signature__ = inspect.signature(MLPClassifier)  # type: ignore[attr-defined]


def _scaled(network: Any) -> Pipeline:
    # An input that is missing in all training rows is kept: the model's inputs have a fixed number.
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), network)
