"""The shipped model on real months: as good, as small and as true to scikit-learn as it has to be."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autoops.mlflow_registry import MlflowRegistry
from autoops.models import bundle
from autoops.models.registry import TrainingRun
from autoops.models.scoring import Scorer, load_version
from autoops.months import Month, parse_months
from autoops.settings import Model, load_settings
from autoops.training.estimator import inputs_of, predict
from autoops.training.export import write_bundle
from autoops.training.train import Trained
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecases.taxi.clean import clean
from tests.bundles import NO_THRESHOLDS
from tests.conftest import CONFIG
from tests.taxi import train

pytestmark = pytest.mark.study

TRAINING_MONTHS = "2022-11..2023-01"
NEXT_MONTH = "2023-02"


def cleaned(directory: Path, month: Month) -> pd.DataFrame:
    return clean(directory / f"green_tripdata_{month}.parquet", month).rows


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_settings(CONFIG).model


@pytest.fixture(scope="module")
def trained(tlc_dir: Path, shipped: Model) -> Trained:
    months = [cleaned(tlc_dir, month) for month in parse_months(TRAINING_MONTHS)]
    return train(pd.concat(months, ignore_index=True), shipped, load_settings(CONFIG).training)


@pytest.fixture(scope="module")
def unseen(tlc_dir: Path) -> pd.DataFrame:
    return cleaned(tlc_dir, Month.parse(NEXT_MONTH))


@pytest.fixture(scope="module")
def sealed(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    place = tmp_path_factory.mktemp("bundle")
    return place, write_bundle(trained, NO_THRESHOLDS, place)


def test_the_next_month_is_predicted_well(trained: Trained, unseen: pd.DataFrame) -> None:
    error = predict(trained.model, unseen, trained.encoder) - unseen[TARGET]
    spread = unseen[TARGET] - unseen[TARGET].mean()
    assert error.abs().mean() <= 2.75
    assert 1 - (error**2).sum() / (spread**2).sum() >= 0.77


def test_the_onnx_form_is_small_and_agrees_on_every_row(
    trained: Trained, unseen: pd.DataFrame, sealed: tuple[Path, str]
) -> None:
    place, digest = sealed
    scorer = Scorer(place, bundle.verify(place, digest))
    scorer.verify_golden_rows()
    off = np.abs(scorer.predict_rows(columns_of(unseen)) - predict(trained.model, unseen, trained.encoder))
    assert off.max() <= 1e-4
    assert (place / bundle.MODEL).stat().st_size <= 100_000_000


def test_distance_matters_most_and_the_holdout_is_no_easier_than_life(trained: Trained) -> None:
    assert max(trained.importances, key=trained.importances.__getitem__) == "trip_distance"
    assert trained.metrics["mae"] < trained.metrics["baseline_mae"] / 2
    assert trained.trained_until < trained.holdout["event_at"].min()


def test_a_version_of_real_size_goes_through_mlflow_and_back(
    trained: Trained, sealed: tuple[Path, str], registry: MlflowRegistry, tmp_path: Path
) -> None:
    place, digest = sealed
    some = trained.holdout.head(500)
    inputs = pd.DataFrame(inputs_of(some, trained.encoder)[:5], columns=list(trained.encoder.features))
    version = registry.register(
        TrainingRun(
            model=trained.model,
            input_example=inputs,
            prediction_example=trained.model.predict(inputs.to_numpy()),
            parameters=trained.parameters,
            metrics=trained.metrics,
            tags={"bundle_digest": digest, "trained_until": trained.trained_until.isoformat()},
            figures=trained.figures,
            datasets=(),
            bundle=place,
        )
    )
    scorer = load_version(registry, version, tmp_path / "cache")
    assert scorer.predict_rows(columns_of(some)) == pytest.approx(some["prediction"].to_numpy(), abs=1e-4)
