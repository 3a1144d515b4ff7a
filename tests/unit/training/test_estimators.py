"""Every kind of estimator from rows to a bundle that predicts as the original does, and what is refused beforehand."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnxruntime import InferenceSession
from sklearn.linear_model import Ridge

from autoops.errors import SettingsError
from autoops.mlflow_registry.content import _packages_of, _trusted_types
from autoops.settings import Model, Settings
from autoops.storage import database
from autoops.training import trial
from autoops.training.converters import to_onnx
from autoops.training.estimator import build, inputs_of, outputs
from autoops.usecase import declaration
from autoops.usecase.columns import EVENT_AT, TARGET
from autoops.usecase.encoding import UNSEEN
from tests import taxi
from tests.bundles import synthetic_trips
from tests.estimators import CLASSIFIERS, REGRESSORS, Named, Served, needs_boosters, serve

FOLDER = str(Path(__file__).parents[2] / "usecases" / "car_loan")
LOANS = declaration.load(FOLDER)
SECTIONS: dict[str, Any] = {
    "training": {"min_rows": 100, "holdout_days": 8, "reference_rows": 50},
    "gate": {"min_rows": 100, "max_latency_ms": 1_000},
}
"""The gate's limit of latency is not for a busy machine."""
ROWS = 500


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database for all of them."""
    file = tmp_path_factory.mktemp("log") / "autoops.db"
    database.upgrade(database.embedded(file, timeout_s=10))
    return file


def loans() -> pd.DataFrame:
    """Loans of 28 days, with missing values in the features that allow them."""
    draw, seconds = np.random.default_rng(1), np.sort(np.random.default_rng(2).uniform(0, 28 * 86_400, ROWS))
    debt, value = draw.uniform(0, 1, ROWS), draw.uniform(5_000, 90_000, ROWS)
    rows = pd.DataFrame(
        {
            EVENT_AT: (pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")).as_unit("us"),
            "car_value": value,
            "salary_range": draw.choice(["0 - 20K €", "20K - 40K €", "60K+ €"], ROWS).astype(object),
            "region": draw.choice(["north", "south", "west"], ROWS).astype(object),
            "debt_to_income_ratio": debt,
            "loan_length": draw.integers(6, 60, ROWS),
            "repaid_loan_on_prev_car": draw.random(ROWS) < 0.6,
            "driver_tenure": draw.uniform(0, 40, ROWS),
            TARGET: (draw.random(ROWS) < 1 / (1 + np.exp(12 * debt - 6))).astype(float),
        }
    )
    rows.loc[::5, "driver_tenure"] = np.nan
    rows.loc[::7, "region"] = None
    return rows


def largest_difference(served: Served) -> float:
    """Between ONNX and the original, on the holdout with every edge of each row."""
    encoder = served.trained.encoder
    inputs = [inputs_of(served.trained.holdout, encoder)]
    for position, edges in enumerate(encoder.edges):
        for wanted, value in zip(edges, (np.nan, UNSEEN), strict=True):
            if wanted:
                inputs.append(inputs[0].copy())
                inputs[-1][:, position] = value
    every = np.concatenate(inputs)
    return float(np.abs(served.scorer.predict(every) - outputs(served.trained.model, every)).max())


def check(served: Served) -> None:
    served.scorer.verify_golden_rows()
    tolerance = served.scorer.manifest.tolerance
    assert largest_difference(served) <= tolerance
    assert served.off <= tolerance
    assert served.verdict.decision == "promote", served.verdict
    assert served.verdict.rows == len(served.trained.holdout)


@pytest.mark.parametrize("named", needs_boosters(REGRESSORS))
def test_a_regressor_goes_from_rows_through_the_gate_to_an_answer(named: Named, log: Path, tmp_path: Path) -> None:
    check(serve(named.settings("taxi", tmp_path, small=True, **SECTIONS), synthetic_trips(ROWS), log, tmp_path))


@pytest.mark.parametrize("named", needs_boosters(CLASSIFIERS))
def test_a_classifier_goes_from_rows_through_the_gate_to_an_answer(named: Named, log: Path, tmp_path: Path) -> None:
    served = serve(named.settings(FOLDER, tmp_path, small=True, **SECTIONS), loans(), log, tmp_path)
    check(served)
    assert served.scorer.encoder.may_miss is named.takes_missing


@pytest.mark.parametrize("named", needs_boosters(CLASSIFIERS))
def test_missing_values_that_an_estimator_does_not_take_are_named_beforehand(named: Named) -> None:
    model = named.model(LOANS, small=True)
    if named.takes_missing:
        trial.check_model(model, LOANS)
    else:
        with pytest.raises(SettingsError, match=r"model\.estimator: .* takes no missing .* in region, driver_tenure\."):
            trial.check_model(model, LOANS)


@pytest.mark.parametrize("named", needs_boosters(REGRESSORS))
def test_what_the_registry_keeps_needs_no_types_beyond_those_it_trusts(named: Named) -> None:
    from skops import io

    inputs = np.random.default_rng(0).integers(0, 9, (60, 6)).astype(np.float32)
    fitted = build(named.model(taxi.CONTRACT, small=True), taxi.CONTRACT).fit(inputs, inputs.sum(axis=1))
    types = _trusted_types(fitted)
    again = io.loads(io.dumps(fitted), trusted=types)
    assert np.array_equal(again.predict(inputs), fitted.predict(inputs))
    package = named.path.partition(".")[0]
    assert [name.partition("-")[0] for name in _packages_of(types)] == (
        [package] if "." in named.path and package not in ("sklearn", "autoops") else []
    )


@pytest.mark.parametrize("named", needs_boosters(REGRESSORS))
def test_an_input_at_a_split_goes_the_same_way_as_in_the_original(named: Named) -> None:
    # Splits are float64, half way between values of training. As inputs, these are float32, above or below the split.
    grid = np.arange(1_000, 2_000, dtype=np.float64) / 100
    inputs = np.stack([grid, grid[::-1]], axis=1).astype(np.float32)
    fitted = build(named.model(taxi.CONTRACT, small=True), taxi.CONTRACT).fit(inputs[::2], np.sin(grid * 9)[::2])
    session = InferenceSession(to_onnx(fitted, 2, missing=False).SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: inputs})
    assert np.abs(found.reshape(-1) - outputs(fitted, inputs)).max() < 1e-5


@pytest.mark.parametrize("loss", ["poisson", "gamma", "absolute_error"])
def test_boosting_for_other_losses_predicts_the_same_as_onnx(loss: str, log: Path, tmp_path: Path) -> None:
    named = Named("sklearn.ensemble.HistGradientBoostingRegressor", {"loss": loss, "max_iter": 20}, {})
    check(serve(named.settings("taxi", tmp_path, **SECTIONS), synthetic_trips(ROWS), log, tmp_path))


@pytest.mark.parametrize(
    ("path", "parameters", "said"),
    [
        ("sklearn.dummy.DummyRegressor", {}, r"model\.estimator: DummyRegressor cannot be converted to ONNX"),
        ("sklearn.neighbors.KNeighborsRegressor", {}, r"model\.estimator: .* predicts otherwise than the original"),
        (
            "sklearn.ensemble.HistGradientBoostingRegressor",
            {"categorical_features": [4]},
            r"model\.estimator: .*categorical_features are sets of values",
        ),
        ("autoops.training.networks:regresor", {}, "no function 'regresor', but regressor"),
        ("autoops.training.networks:regressor", {"hiden_layer_sizes": [5]}, "hiden_layer_sizes: .* but hidden_layer"),
        ("autoops.training.networks:regressor", {"hidden_layer_sizes": [-5]}, r"model\.parameters\.hidden_layer_sizes"),
        ("autoops.training.networks:classifier", {}, "is no regressor"),
        ("autoops.training.evaluate:metrics", {}, "model.parameters: metrics"),
    ],
)
def test_what_could_not_be_fitted_or_written_is_refused_before_anything_is_fetched(
    path: str, parameters: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        trial.check_model(Model(estimator=path, parameters=parameters), taxi.CONTRACT)


@pytest.mark.skipif(REGRESSORS["XGBoost"].absent, reason="the extra `boosters` is not installed")
@pytest.mark.parametrize(
    ("path", "parameters", "said"),
    [
        ("xgboost.XGBRegresor", {}, r"did you mean xgboost\.XGBRegressor\?"),
        ("xgboost.XGBRegressor", {"n_estimatrs": 5}, r"model\.parameters\.n_estimatrs: .* but n_estimators"),
        ("xgboost.XGBRegressor", {"max_depth": "many"}, r"model\.parameters\.max_depth: "),
        ("xgboost.XGBRegressor", {"booster": "gblinear"}, r"model\.estimator: XGBRegressor cannot be converted"),
        ("lightgbm.LGBMRegressor", {"num_leave": 5}, r"model\.parameters\.num_leave: .* but num_leaves"),
        ("lightgbm.LGBMRegressor", {"num_leaves": -1}, r"model\.parameters\.num_leaves: "),
        ("catboost.CatBoostRegressor", {"dept": 5}, r"model\.parameters\.dept: .* but depth"),
        ("catboost.CatBoostRegressor", {"depth": 99}, r"model\.parameters\.depth: "),
        ("catboost.CatBoostRegressor", {"loss_function": "Poisson"}, r"predicts otherwise than the original"),
    ],
)
def test_mistakes_with_boosters_are_named_as_all_others_are(
    path: str, parameters: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        trial.check_model(Model(estimator=path, parameters=parameters), taxi.CONTRACT)


def test_a_booster_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(
        SettingsError, match=r"'xgboost\.XGBRegressor' needs the extra `boosters`: pip install '\.\[boo"
    ):
        trial.check_model(Model(estimator="xgboost.XGBRegressor", parameters={}), taxi.CONTRACT)


def test_catboost_leaves_no_files_where_it_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = REGRESSORS["CatBoost"]
    if named.absent:
        pytest.skip("the extra `boosters` is not installed")
    monkeypatch.chdir(tmp_path)
    trial.check_model(Model(estimator=named.path, parameters={"iterations": 2}), taxi.CONTRACT)
    trial.check_model(Model(estimator=named.path, parameters={"iterations": 2, "silent": True}), taxi.CONTRACT)
    assert list(tmp_path.iterdir()) == []


FACTORY = """
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def scaled(alpha=1.0):
    return make_pipeline(StandardScaler(), Ridge(alpha=alpha))


def boosted(**parameters):
    from xgboost import XGBRegressor

    return make_pipeline(SimpleImputer(), XGBRegressor(**parameters))


def broken():
    raise RuntimeError("no such luck")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The taxi as a use case of one's own, with a factory beside it."""
    (tmp_path / "usecase.yaml").write_text((Path(declaration.folder_of("taxi")) / "usecase.yaml").read_text())
    (tmp_path / "estimators.py").write_text(FACTORY)
    return tmp_path


def settings(folder: Path, **model: object) -> Settings:
    return Settings(usecase=str(folder), model={"estimator": "estimators:scaled", "parameters": {}} | model)


def test_a_factory_beside_the_declaration_makes_a_pipeline(folder: Path) -> None:
    named = settings(folder, parameters={"alpha": 3.0})
    assert named.model.estimator == f"{folder}/estimators.py:scaled"
    trial.check_model(named.model, named.contract)
    built = build(named.model, named.contract)
    assert isinstance(built[-1], Ridge)
    assert built[-1].alpha == 3.0
    assert "estimators" not in sys.modules


@pytest.mark.skipif(REGRESSORS["XGBoost"].absent, reason="the extra `boosters` is not installed")
def test_a_booster_may_be_a_step_of_a_pipeline(folder: Path) -> None:
    named = settings(folder, estimator="estimators:boosted", parameters={"n_estimators": 5})
    trial.check_model(named.model, named.contract)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"estimator": "estimators:scalled"}, "has no function 'scalled', but scaled"),
        ({"estimator": "estimator:scaled"}, "model.estimator: estimator:scaled cannot be imported: No module named"),
        ({"estimator": "estimators:broken"}, "no such luck"),
        (
            {"parameters": {"alfa": 1}},
            r"model\.parameters\.alfa: scaled has no such parameter, but alpha; it has alpha",
        ),
        ({"parameters": {"alpha": "much"}}, r"model\.parameters\.alpha: "),
    ],
)
def test_mistakes_with_a_factory_are_named(folder: Path, model: dict[str, object], said: str) -> None:
    named = settings(folder, **model)
    with pytest.raises(SettingsError, match=said):
        trial.check_model(named.model, named.contract)


def test_a_factory_that_cannot_be_imported_says_why(folder: Path) -> None:
    (folder / "estimators.py").write_text("import no_such_package")
    with pytest.raises(SettingsError, match=r"model\.estimator: .*No module named 'no_such_package'"):
        trial.check_model(settings(folder).model, taxi.CONTRACT)


PACKAGE = """
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import BaseEstimator, RegressorMixin


class Mean(RegressorMixin, BaseEstimator):
    def fit(self, inputs, target):
        self.mean_ = float(np.mean(target))
        return self

    def predict(self, inputs):
        return np.full(len(inputs), self.mean_)


def to_onnx(fitted, width):
    mean = numpy_helper.from_array(np.array([[fitted.mean_]], dtype=np.float32), "mean")
    zero = numpy_helper.from_array(np.zeros((width, 1), dtype=np.float32), "zero")
    nodes = [helper.make_node("MatMul", ["x", "zero"], ["none"]), helper.make_node("Add", ["none", "mean"], ["y"])]
    shape = lambda name, columns: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, columns])
    graph = helper.make_graph(nodes, "mean", [shape("x", width)], [shape("y", 1)], [mean, zero])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def wrong(fitted, width):
    return to_onnx(Mean().fit(None, [0.0]), width)


def no_model(fitted, width):
    return "no model"
"""


@pytest.mark.parametrize(
    ("converter", "said"),
    [
        ("to_onnx", None),
        (None, r"Mean cannot be converted to ONNX: .*\. A package may add a converter"),
        ("wrong", "predicts otherwise than the original, by up to 1.5"),
        ("no_model", r"mean_models\.Mean as ONNX does not run: "),
    ],
)
def test_a_package_adds_a_converter_for_its_own_estimators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converter: str | None, said: str | None
) -> None:
    (tmp_path / "mean_models.py").write_text(PACKAGE)
    metadata = tmp_path / "mean_models-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mean_models\nVersion: 1.0\n")
    if converter:
        (metadata / "entry_points.txt").write_text(f"[autoops.converters]\nmean_models = mean_models:{converter}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mean_models", raising=False)
    model = Model(estimator="mean_models.Mean", parameters={})
    if said is None:
        trial.check_model(model, taxi.CONTRACT)
    else:
        with pytest.raises(SettingsError, match=said):
            trial.check_model(model, taxi.CONTRACT)
