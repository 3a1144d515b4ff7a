"""Features that a function of the use case derives: declared, checked at start, trained on, sealed, served, watched."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autoops.drift.distances import compare
from autoops.drift.monitor import Reference, judge
from autoops.errors import BundleError, FeatureError, SettingsError
from autoops.models import bundle
from autoops.models.scoring import Scorer
from autoops.settings import Drift, Training, load_settings
from autoops.training.export import write_bundle
from autoops.training.train import train
from autoops.usecase import declaration, derived
from autoops.usecase.columns import EVENT_AT, PREDICTION, TARGET, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.segments import segments_of
from tests.taxi import calibrate

DECLARED = """
name: rides
event_time: {column: begun_at}
target: {column: cost, at_least: 0}
features:
  distance: {type: float, unit: km, above: 0, below: 100}
  minutes: {type: float, at_least: 0, below: 1000}
derived:
  speed: {function: "speeds:per_hour", unit: km/h}
  hour: hour_of_day
drift: {seasonality: none}
segments: {fast: {by: speed, cut: [20]}}
model:
  estimator: sklearn.ensemble.RandomForestRegressor
  parameters: {n_estimators: 20, min_samples_leaf: 5, random_state: 7}
"""
FUNCTIONS = """
import numpy as np

def per_hour(rows):
    return 60 * rows["distance"] / rows["minutes"]

def counts(rows):
    return len(rows["distance"])

def fails(rows):
    return rows["length"]

def writes(rows):
    rows["distance"][:] = 0

def perhaps(rows):
    return np.where(rows["minutes"] > 5, 1.0, np.nan)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "usecase.yaml").write_text(DECLARED)
    (tmp_path / "speeds.py").write_text(FUNCTIONS)
    (tmp_path / "config.yaml").write_text("usecase: .\n")
    return tmp_path


def declared(folder: Path, function: str = "speeds:per_hour", more: str = "") -> Contract:
    path = folder / "other.yaml"
    path.write_text(DECLARED.replace('"speeds:per_hour"', f'"{function}"{more}'))
    declaration._read.cache_clear()
    return declaration.load(str(path))


def rides(rows: int, seed: int, faster: float = 1.0) -> pd.DataFrame:
    """Rides that cost by their speed."""
    draw = np.random.default_rng(seed)
    distance, speed = draw.uniform(1, 20, rows), draw.uniform(10, 30, rows) * faster
    moments = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(rows), unit="h")
    columns = {EVENT_AT: moments.as_unit("us"), "distance": distance, "minutes": 60 * distance / speed}
    return pd.DataFrame(columns | {TARGET: speed + draw.normal(0, 0.5, rows)})


def test_it_goes_from_the_declaration_into_a_served_and_watched_version(folder: Path, tmp_path: Path) -> None:
    settings = load_settings(folder / "config.yaml")
    contract, drift = settings.contract, Drift(window_size=300)
    trained = train(rides(3_000, 1), contract, settings.model, Training(min_rows=500))
    assert trained.metrics["loss"] < 0.3 * trained.metrics["baseline_loss"]
    frames = trained.history, trained.holdout, trained.reference
    thresholds = calibrate(*frames, trained.encoder.features, drift, contract)
    (directory := tmp_path / "bundle").mkdir()
    digest = write_bundle(trained, thresholds.to_json(), directory)

    manifest = bundle.verify(directory, digest)
    assert manifest.contract == contract
    assert max(manifest.importances, key=manifest.importances.__getitem__) == "speed"
    scorer = Scorer(directory, manifest)
    rows = rides(500, 2)
    assert np.abs(scorer.predict_rows(columns_of(rows)) - rows[TARGET]).mean() < 1
    one = {name: values[:1] for name, values in columns_of(rows).items()}
    assert scorer.encoder.matrix(one)[0, 2] == pytest.approx(60 * one["distance"][0] / one["minutes"][0])

    window = rides(300, 3, faster=2.5).assign(**{PREDICTION: 20.0})
    verdict = judge(Reference.read(directory, manifest), thresholds, manifest, window, window[:0], drift)
    moved = {result.feature: result.drifted for result in verdict.features}
    assert moved == {"distance": False, "minutes": True, "speed": True}

    elsewhere = replace(manifest, contract=Contract.model_validate(_renamed(manifest.contract.to_json())))
    with pytest.raises(BundleError, match="no function os:getcwd is declared in the use case of this installation"):
        Scorer(directory, elsewhere)


def _renamed(contract: dict) -> dict:
    return json.loads(json.dumps(contract).replace("speeds:per_hour", "os:getcwd"))


def test_segments_and_distances_take_it_for_a_feature(folder: Path) -> None:
    contract, rows = declared(folder), rides(200, 1)
    fast = segments_of(contract, columns_of(rows), ["fast"])
    assert [*fast] == ["under 20 speed", "20 speed and more"]
    speed = 60 * rows["distance"] / rows["minutes"]
    assert fast["20 speed and more"].tolist() == (speed >= 20).tolist()
    assert compare(contract, rows, rows, ["speed"]) == {"speed": 0}
    assert contract.watched(("distance", "speed", "hour")) == ("distance", "speed")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("speeds:fails", r"derived.speed: speeds:fails raises KeyError: 'length' \(of an example row\)"),
        ("speeds:writes", "derived.speed: speeds:writes raises ValueError: assignment destination is read-only"),
        ("speeds:counts", r"derived.speed: speeds:counts returns the shape \(\) for 2 rows; expected one number per"),
        ("speeds:per_our", "derived.speed: speeds has no function 'per_our', but per_hour"),
        ("speed:per_hour", "derived.speed: speed:per_hour cannot be imported: No module named 'speed'"),
    ],
)
def test_a_function_that_does_not_work_is_refused_at_start(folder: Path, function: str, said: str) -> None:
    contract = declared(folder, function)
    with pytest.raises(SettingsError, match=said):
        derived.check(contract)


def test_values_that_are_no_numbers_are_named(folder: Path) -> None:
    rows = {name: values.copy() for name, values in columns_of(rides(20, 1)).items()}
    rows["minutes"][:3] = 0
    with pytest.raises(
        FeatureError, match=r"derived\.speed: speeds:per_hour returns inf for 3 of 20 rows, first for row 0; `missing"
    ):
        derived.column(declared(folder), "speed", rows)
    with pytest.raises(FeatureError, match=r"speeds:perhaps returns nan for \d+ of 20 rows, first for row 0"):
        derived.column(declared(folder, "speeds:perhaps"), "speed", rows)
    allowed = declared(folder, "speeds:perhaps", ", missing: allowed")
    assert np.isnan(derived.column(allowed, "speed", rows)[:3]).all()
