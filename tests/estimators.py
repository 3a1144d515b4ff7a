"""The estimators that Auto-Ops names in its documents, with parameters for a table and for a test of a second.

`serve` leads one from rows to an answer of the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from autoops.loop.decide.gate import GateVerdict
from autoops.loop.retrain import comparison
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.models.scoring import Scorer, load_version
from autoops.serving.app import create_app
from autoops.serving.model.trial import no_trial
from autoops.settings import Model, Settings
from autoops.storage import database
from autoops.training import export
from autoops.training.estimator import BOOSTERS, inputs_of, outputs
from autoops.training.train import Trained, train
from autoops.usecase import declaration
from autoops.usecase.columns import EVENT_AT, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import Encoder
from tests.bundles import NO_THRESHOLDS
from tests.eventually import eventually
from tests.integration.one_process import context_in

ANSWERED = 20


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

    def settings(self, usecase: str, home: Path, small: bool = False, **sections: object) -> Settings:
        """Those of a use case with this estimator; one that takes no missing values gets no feature that has some."""
        contract = declaration.load(usecase)
        model = self.model(contract, small).model_dump()
        if not self.takes_missing:
            edges = Encoder(contract, contract.model_features, {}).edges
            model["features"] = [
                name for name, (missing, _) in zip(contract.model_features, edges, strict=True) if not missing
            ]
        return Settings(**{"usecase": usecase, "model": model, "storage": {"home": home / "var"}, **sections})  # type: ignore[arg-type]

    @property
    def absent(self) -> bool:
        """Whether it is of a booster that is not installed."""
        package = self.path.partition(".")[0]
        return package in BOOSTERS and find_spec(package) is None


_SEEDED: dict[str, Any] = {"random_state": 7}
_FOREST = {"n_estimators": 100, "max_depth": 16, "min_samples_leaf": 5, "n_jobs": -1, **_SEEDED}
_SMALL_FOREST = {"n_estimators": 10, "n_jobs": 1}
_NETWORK = {"hidden_layer_sizes": [64, 32], "early_stopping": True, **_SEEDED}
_SMALL_NETWORK = {"hidden_layer_sizes": [16], "early_stopping": False, "max_iter": 60, "learning_rate_init": 0.02}
_ROUNDS = {"n_estimators": 300, "learning_rate": 0.06, **_SEEDED}
_FEW_ROUNDS = {"n_estimators": 20, "n_jobs": 1}


def logistic(**parameters: Any) -> Pipeline:
    """Return a factory's Pipeline. Unscaled, the solver ends at the base rate: prices are 10,000 times shares."""
    return make_pipeline(StandardScaler(), LogisticRegression(**parameters))


def _of(task: str) -> dict[str, Named]:
    return {
        "linear": Named("sklearn.linear_model.Ridge", {}, {}, False)
        if task == "Regressor"
        else Named("tests.estimators:logistic", {}, {}, False),
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


@dataclass(frozen=True)
class Served:
    """A champion with the gate's verdict against the best constant. `off` is by how much answers of the API differ at
    most from the original's predictions, `train_s` the seconds from rows to the sealed bundle."""

    trained: Trained
    scorer: Scorer
    verdict: GateVerdict
    off: float
    train_s: float


def serve(settings: Settings, rows: pd.DataFrame, log: Path, home: Path) -> Served:
    """Train on the rows, export, compare in the gate, serve, and ask the API for the newest rows of the holdout.

    `log` is the file of a migrated database.
    """
    started = perf_counter()
    trained = train(rows, settings.contract, settings.model, settings.training)
    (home / "bundle").mkdir()
    digest = export.write_bundle(trained, NO_THRESHOLDS, home / "bundle")
    train_s = perf_counter() - started
    # An engine for each: an API keeps a connection until its process ends.
    context = context_in(home, settings, database.embedded(log, timeout_s=10))
    newest = trained.holdout.tail(ANSWERED)
    inputs = inputs_of(newest, trained.encoder)
    expected = outputs(trained.model, inputs)
    tags = {"bundle_digest": digest, "trained_until": trained.trained_until.isoformat()}
    run = TrainingRun(trained.model, pd.DataFrame(inputs), expected, {}, {}, tags, {}, (), home / "bundle")
    version = context.registry.register(run)
    context.registry.set_alias(CHAMPION, version.number)
    verdict = comparison.with_baseline(context, version)
    app = create_app(settings, context.registry, context.log, context.instances, context.clock, no_trial)
    with TestClient(app) as client:
        eventually(lambda: client.get("/ready").is_success)
        found = _answers(client, settings.contract, newest)
    scorer = load_version(context.registry, version, context.model_cache)
    return Served(trained, scorer, verdict, float(np.abs(found - expected).max()), train_s)


def _answers(client: TestClient, contract: Contract, rows: pd.DataFrame) -> Any:
    columns = {name: _sent(contract, name, values) for name, values in columns_of(rows).items() if name != EVENT_AT}
    columns[contract.event_time.column] = [moment.isoformat() for moment in rows[EVENT_AT]]
    answer = client.post("/predict/batch", json={"columns": columns})
    assert answer.is_success, answer.text
    return np.array(answer.json()["columns"]["probability" if contract.task == "binary" else contract.target.column])


def _sent(contract: Contract, name: str, values: Any) -> list[Any]:
    plain = [None if pd.isna(value) else value for value in values.tolist()]
    return list(map(bool, plain)) if contract.features[name].type == "bool" else plain
