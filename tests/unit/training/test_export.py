"""A trained model as a bundle that serving can trust."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from autoops.errors import BundleError
from autoops.models import bundle
from autoops.models.scoring import Scorer
from autoops.settings import Model
from autoops.training import export
from autoops.training.train import Trained
from autoops.usecase.columns import TARGET, columns_of
from tests.taxi import train
from tests.unit.training.test_train import MODEL, TRAINING, TRIPS


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(TRIPS, MODEL, TRAINING)


def test_a_bundle_verifies_loads_and_answers_as_the_model_does(trained: Trained, tmp_path: Path) -> None:
    digest = export.write_bundle(trained, '{"a": 1}', tmp_path)
    scorer = Scorer(tmp_path, bundle.verify(tmp_path, digest))
    scorer.verify_golden_rows()
    predicted = scorer.predict_rows(columns_of(trained.holdout))
    assert np.abs(predicted - trained.holdout["prediction"]).max() <= bundle.GOLDEN_TOLERANCE


def test_the_same_trips_give_the_same_bundle_to_the_byte(trained: Trained, tmp_path: Path) -> None:
    again = sealed(train(TRIPS, MODEL, TRAINING), tmp_path / "again")
    other = sealed(train(TRIPS.iloc[1:], MODEL, TRAINING), tmp_path / "other")
    assert sealed(trained, tmp_path / "first") == again != other


def test_the_model_is_the_same_to_the_byte_on_however_many_threads(trained: Trained, tmp_path: Path) -> None:
    """What stands beside it is not: scikit-learn's threads add their trees up in any order."""
    threaded = MODEL.model_copy(update={"parameters": MODEL.parameters | {"n_jobs": 3}})
    sealed(trained, tmp_path / "one")
    sealed(train(TRIPS, threaded, TRAINING), tmp_path / "three")
    assert (tmp_path / "one" / bundle.MODEL).read_bytes() == (tmp_path / "three" / bundle.MODEL).read_bytes()


def sealed(trained: Trained, directory: Path) -> str:
    directory.mkdir()
    return export.write_bundle(trained, "{}", directory)


def test_the_manifest_says_what_the_version_is(trained: Trained, tmp_path: Path) -> None:
    manifest = bundle.verify(tmp_path, export.write_bundle(trained, '{"a": 1}', tmp_path))
    assert manifest.features == MODEL.features
    assert manifest.importances == trained.importances
    assert manifest.trained_until == trained.trained_until
    assert manifest.contract == trained.encoder.contract
    assert manifest.vocabularies == trained.encoder.vocabularies
    assert json.loads((tmp_path / bundle.THRESHOLDS).read_text()) == {"a": 1}


def test_the_reference_comes_back_as_it_was(trained: Trained, tmp_path: Path) -> None:
    export.write_bundle(trained, "{}", tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / bundle.REFERENCE), trained.reference)


def test_golden_rows_reach_the_extremes_and_all_of_the_holdout(trained: Trained, tmp_path: Path) -> None:
    export.write_bundle(trained, "{}", tmp_path)
    golden = pd.read_parquet(tmp_path / bundle.GOLDEN)
    assert list(golden.columns) == [*MODEL.features, bundle.EXPECTED]
    assert 100 <= len(golden) <= export.GOLDEN_ROWS
    distances = trained.holdout["trip_distance"].astype(np.float32)
    assert golden["trip_distance"].min() == distances.min()
    assert golden["trip_distance"].max() == distances.max()
    corner = golden[(golden["trip_distance"] == distances.max()) & (golden["hour"] == 0)]
    assert set(corner["pickup_location_id"]) >= {41, 95}


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("sklearn.ensemble.HistGradientBoostingRegressor", {"max_iter": 20}),
        ("sklearn.ensemble.GradientBoostingRegressor", {"n_estimators": 10}),
        ("sklearn.linear_model.Ridge", {}),
        ("sklearn.tree.DecisionTreeRegressor", {"max_depth": 4}),
    ],
)
def test_other_estimators_are_exported_as_well(path: str, parameters: dict[str, object], tmp_path: Path) -> None:
    trained = train(TRIPS, Model(estimator=path, parameters=parameters), TRAINING)
    digest = export.write_bundle(trained, "{}", tmp_path)
    Scorer(tmp_path, bundle.verify(tmp_path, digest)).verify_golden_rows()


def test_a_model_that_has_no_onnx_form_is_refused_by_its_name(trained: Trained, tmp_path: Path) -> None:
    inputs = trained.holdout[["trip_distance"]].to_numpy()
    dummy = DummyRegressor().fit(inputs, trained.holdout[TARGET])
    with pytest.raises(BundleError, match="DummyRegressor cannot be converted to ONNX"):
        export.write_bundle(dataclasses.replace(trained, model=dummy), "{}", tmp_path)


def test_onnx_that_answers_differently_is_never_sealed(trained: Trained, tmp_path: Path) -> None:
    """Targets of a million minutes are beyond what float32 holds to 1e-4."""
    inputs = export.inputs_of(trained.holdout, trained.encoder)
    vast = RandomForestRegressor(3, random_state=0).fit(inputs, trained.holdout[TARGET] * 123_456.7)
    with pytest.raises(BundleError, match=r"differs from the original by up to .* minutes"):
        export.write_bundle(dataclasses.replace(trained, model=vast), "{}", tmp_path)
    assert not (tmp_path / bundle.MANIFEST).exists()


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_model_that_answers_no_numbers_is_never_sealed(trained: Trained, tmp_path: Path, weight: float) -> None:
    inputs = export.inputs_of(trained.holdout, trained.encoder)
    broken = Ridge().fit(inputs, trained.holdout[TARGET])
    broken.coef_[0] = weight
    with np.errstate(invalid="ignore"), pytest.raises(BundleError, match="differs from the original by up to nan"):
        export.write_bundle(dataclasses.replace(trained, model=broken), "{}", tmp_path)
    assert not (tmp_path / bundle.MANIFEST).exists()


def test_a_large_model_is_warned_of(
    trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.WARNING):
        export.write_bundle(trained, "{}", tmp_path)
        assert not caplog.records
        monkeypatch.setattr(export, "LARGE_MODEL_BYTES", 1_000)
        export.write_bundle(trained, "{}", tmp_path)
    assert "MB" in caplog.text
