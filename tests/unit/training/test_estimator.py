"""What config.yaml may name as a model, and how a mistake there is told."""

import numpy as np
import pytest

from autoops.errors import SettingsError
from autoops.settings import Model
from autoops.training import estimator, trial
from autoops.usecase.encoding import Encoder
from tests.bundles import synthetic_trips
from tests.taxi import CONTRACT

TRIPS = synthetic_trips(200)


def model(path: str = "sklearn.ensemble.RandomForestRegressor", **parameters: object) -> Model:
    return Model(estimator=path, parameters=parameters)


def encoder() -> Encoder:
    return estimator.encoder_of(CONTRACT, Model(), TRIPS)


def test_the_parameters_reach_the_estimator_and_are_read_back_from_it() -> None:
    fitted = estimator.fit(model(n_estimators=3, max_depth=2), encoder(), TRIPS)
    parameters = estimator.parameters_of(fitted)
    assert len(fitted.estimators_) == 3
    assert parameters["n_estimators"] == 3
    assert parameters["min_samples_leaf"] == 1
    assert parameters["estimator"] == "sklearn.ensemble._forest.RandomForestRegressor"


def test_any_regressor_may_be_named() -> None:
    fitted = estimator.fit(model("sklearn.linear_model.Ridge", alpha=2.0), encoder(), TRIPS)
    predicted = estimator.predict(fitted, TRIPS, encoder())
    assert predicted.shape == (200,)
    assert np.corrcoef(predicted, TRIPS["target"])[0, 1] > 0.9


@pytest.mark.parametrize(
    "path",
    [
        "sklearn.ensemble.RandomForestRegresor",
        "sklearn.no_such_module.Ridge",
        "no_such_package.Model",
        "RandomForestRegressor",
        "",
        ".",
        "sklearn.metrics.mean_absolute_error",
        "collections.OrderedDict",
        "sklearn.linear_model.LogisticRegression",
    ],
)
def test_a_path_that_is_no_regressor_is_a_mistake_in_model_estimator(path: str) -> None:
    with pytest.raises(SettingsError, match=r"model\.estimator: "):
        estimator.build(model(path), CONTRACT)


def test_an_unknown_parameter_is_named_with_those_that_exist() -> None:
    with pytest.raises(SettingsError, match=r"model\.parameters\.trees: .*n_estimators"):
        estimator.build(model(trees=100), CONTRACT)


@pytest.mark.parametrize(("name", "value"), [("n_estimators", "many"), ("max_depth", -1), ("max_features", 1.5)])
def test_a_value_that_scikit_learn_refuses_is_named(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=rf"model\.parameters\.{name}: "):
        estimator.fit(model(**{name: value}), encoder(), TRIPS)


def test_an_estimator_that_needs_another_one_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"model\.parameters: .*'estimators'"):
        estimator.build(model("sklearn.ensemble.VotingRegressor"), CONTRACT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": ("trip_distnce",)}, r"did you mean trip_distance\?"),
        (
            {"estimator": "sklearn.ensemble.RandomForestRegresor"},
            r"mean sklearn\.ensemble\.RandomForestRegressor\?",
        ),
        ({"estimator": "sklearn.ensembel.RandomForestRegressor"}, r"did you mean sklearn\.ensemble\.RandomForest"),
        ({"parameters": {"n_estimator": 5}}, r"model\.parameters\.n_estimator: .* no such parameter, but n_estimators"),
        ({"parameters": {"n_estimators": -5}}, r"model\.parameters\.n_estimators: "),
    ],
)
def test_what_could_not_be_trained_is_refused_before_it_is(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        trial.check_model(Model().model_copy(update=changes), CONTRACT)
    trial.check_model(Model(), CONTRACT)
