"""The estimators that Auto-Ops names in its documents, with parameters for a table and for a test of half a second."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest

from autoops.settings import Model
from autoops.training.estimator import BOOSTERS
from autoops.usecase.contract import Contract


@dataclass(frozen=True)
class Named:
    """`small` replaces some of the `parameters` in tests."""

    path: str
    parameters: Mapping[str, Any]
    small: Mapping[str, Any]
    takes_missing: bool = True

    def model(self, contract: Contract, small: bool = False) -> Model:
        parameters = {**self.parameters, **(self.small if small else {})}
        return Model(estimator=self.path, parameters=parameters, features=contract.model_features)

    @property
    def absent(self) -> bool:
        """Whether it is of a booster that is not installed."""
        package = self.path.partition(".")[0]
        return package in BOOSTERS and find_spec(package) is None


_SEEDED: dict[str, Any] = {"random_state": 7}
_FOREST = {"n_estimators": 100, "max_depth": 16, "min_samples_leaf": 5, "n_jobs": -1, **_SEEDED}
_SMALL_FOREST = {"n_estimators": 10, "n_jobs": 1}
_NETWORK = {"hidden_layer_sizes": [64, 32], "early_stopping": True, **_SEEDED}
_SMALL_NETWORK = {"hidden_layer_sizes": [8], "max_iter": 20}
_ROUNDS = {"n_estimators": 300, "learning_rate": 0.06, **_SEEDED}
_FEW_ROUNDS = {"n_estimators": 20, "n_jobs": 1}


def _of(task: str) -> dict[str, Named]:
    return {
        "linear": Named("sklearn.linear_model.Ridge", {}, {}, False)
        if task == "Regressor"
        else Named("sklearn.linear_model.LogisticRegression", {"max_iter": 3000}, {"max_iter": 50}, False),
        "decision tree": Named(f"sklearn.tree.DecisionTree{task}", {"min_samples_leaf": 20, **_SEEDED}, {}),
        "random forest": Named(f"sklearn.ensemble.RandomForest{task}", _FOREST, _SMALL_FOREST),
        "extra trees": Named(f"sklearn.ensemble.ExtraTrees{task}", _FOREST, _SMALL_FOREST),
        "gradient boosting": Named(
            f"sklearn.ensemble.GradientBoosting{task}", {"max_depth": 5, **_SEEDED}, {"n_estimators": 10}, False
        ),
        "histogram gradient boosting": Named(
            f"sklearn.ensemble.HistGradientBoosting{task}", {"max_iter": 200, **_SEEDED}, {"max_iter": 10}
        ),
        "neural network": Named(f"autoops.training.networks:{task.lower()}", _NETWORK, _SMALL_NETWORK),
        "XGBoost": Named(f"xgboost.XGB{task}", {"max_depth": 6, **_ROUNDS}, _FEW_ROUNDS),
        "LightGBM": Named(f"lightgbm.LGBM{task}", {"num_leaves": 63, **_ROUNDS}, _FEW_ROUNDS),
        "CatBoost": Named(
            f"catboost.CatBoost{task}", {"iterations": 500, "random_seed": 7}, {"iterations": 20, "thread_count": 1}
        ),
    }


REGRESSORS = _of("Regressor")
CLASSIFIERS = _of("Classifier")


def needs_boosters(named: Mapping[str, Named]) -> list[Any]:
    """The names as parameters of a test, those of boosters skipped where the extra is not installed."""
    why = "the extra `boosters` is not installed"
    return [
        pytest.param(each, id=name, marks=pytest.mark.skipif(each.absent, reason=why)) for name, each in named.items()
    ]
