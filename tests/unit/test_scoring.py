"""A version as a function, from its bundle to its answers."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autoops.errors import BundleError
from autoops.models import bundle
from autoops.models.registry import ModelVersion
from autoops.models.scoring import Scorer, load_version
from autoops.usecase.columns import columns_of
from tests.bundles import FEATURES, register_small, synthetic_trips
from tests.fakes import FakeRegistry
from tests.taxi import CONTRACT, feature_matrix

TRIPS = columns_of(synthetic_trips(100, seed=3))


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    return FakeRegistry(tmp_path / "registry")


@pytest.fixture
def version(registry: FakeRegistry, tmp_path: Path) -> ModelVersion:
    return register_small(registry, tmp_path / "made")


def test_a_version_answers_as_the_model_that_was_registered(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    scorer = load_version(registry, version, tmp_path / "cache")
    expected = registry.runs[1].model.predict(feature_matrix(TRIPS, FEATURES))
    assert np.abs(scorer.predict_rows(TRIPS) - expected).max() < 1e-4
    assert scorer.predict_rows(TRIPS).dtype == np.float64


def test_rows_score_the_same_alone_and_together(registry: FakeRegistry, version: ModelVersion, tmp_path: Path) -> None:
    scorer = load_version(registry, version, tmp_path / "cache", threads=2)
    together = scorer.predict_rows(TRIPS)
    alone = [scorer.predict_rows({name: column[i : i + 1] for name, column in TRIPS.items()})[0] for i in range(20)]
    assert together[:20] == pytest.approx(alone, abs=1e-5)


def test_the_zones_of_the_training_are_known(registry: FakeRegistry, version: ModelVersion, tmp_path: Path) -> None:
    scorer = load_version(registry, version, tmp_path / "cache")
    known = {name: [n in scorer.encoder.vocabularies[name] for n in (41, 264)] for name in CONTRACT.told_apart}
    assert known == {"pickup_location_id": [True, False], "dropoff_location_id": [True, False]}
    assert [scorer.encoder.knows((1.5, 1, pickup, 41)) for pickup in (41, 264)] == [True, False]


def test_versions_do_not_share_a_place_in_the_cache(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    other = register_small(registry, tmp_path / "other", minutes_per_mile=8)
    slow = load_version(registry, other, tmp_path / "cache").predict_rows(TRIPS)
    usual = load_version(registry, version, tmp_path / "cache").predict_rows(TRIPS)
    assert slow.mean() > usual.mean() + 3


def test_a_version_without_a_bundle_is_a_broken_one(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    shutil.rmtree(registry.bundle_of(1))
    with pytest.raises(BundleError, match="no bundle"):
        load_version(registry, version, tmp_path / "cache")


@pytest.fixture
def made(tmp_path: Path, version: ModelVersion) -> Path:
    return tmp_path / "made"


def reseal_after(made: Path, name: str, content: bytes) -> bundle.Manifest:
    """The manifest as a faulty training would have sealed it."""
    manifest = bundle.verify(made, bundle.sha256_of(made / bundle.MANIFEST))
    (made / name).write_bytes(content)
    return bundle.verify(made, bundle.seal(made, manifest))


def test_a_file_that_is_no_onnx_does_not_load(made: Path) -> None:
    manifest = reseal_after(made, bundle.MODEL, b"no model")
    with pytest.raises(BundleError, match=r"model\.onnx does not load"):
        Scorer(made, manifest)


def test_a_model_of_another_width_is_refused(made: Path) -> None:
    manifest = bundle.verify(made, bundle.sha256_of(made / bundle.MANIFEST))
    narrower = replace(manifest, features=FEATURES[:-1])
    with pytest.raises(BundleError, match="takes 6 inputs, its manifest names 5"):
        Scorer(made, narrower)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda golden: golden.assign(expected=golden["expected"] + 0.001), r"off by up to 0\.001"),
        (lambda golden: golden.assign(expected=float("nan")), "off by up to nan"),
        (lambda golden: golden.iloc[:0], "golden rows"),
        (lambda golden: golden.drop(columns="hour"), "lacks hour"),
    ],
    ids=["other answers", "no numbers", "no rows", "a column missing"],
)
def test_golden_rows_that_do_not_agree_are_told(made: Path, change: object, message: str) -> None:
    golden = change(pd.read_parquet(made / bundle.GOLDEN))  # type: ignore[operator]
    golden.to_parquet(made / "changed.parquet", index=False)
    manifest = reseal_after(made, bundle.GOLDEN, (made / "changed.parquet").read_bytes())
    with pytest.raises(BundleError, match=message):
        Scorer(made, manifest).verify_golden_rows()


def test_a_golden_file_that_is_no_parquet_is_a_broken_bundle(made: Path) -> None:
    manifest = reseal_after(made, bundle.GOLDEN, b"no table")
    with pytest.raises(BundleError, match=r"golden\.parquet does not read"):
        Scorer(made, manifest).verify_golden_rows()
