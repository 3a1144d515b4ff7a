"""A training as a whole, on small forests."""

from pathlib import Path

import pandas as pd
import pytest

from autoops.errors import SettingsError
from autoops.settings import Model, Training
from autoops.training.train import Trained
from autoops.training.train import train as train_by
from autoops.usecase import declaration
from autoops.usecase.columns import TARGET
from autoops.usecase.contract import Contract
from tests import sparse_worlds
from tests.bundles import synthetic_trips
from tests.taxi import CONTRACT, TRIP_COLUMNS, train
from tests.unit.training.test_window import CHANGES_AT, two_worlds

MODEL = Model(parameters={"n_estimators": 10, "min_samples_leaf": 5, "n_jobs": 1, "random_state": 7})
TRAINING = Training(min_rows=200, holdout_days=3, reference_rows=300)
TRIPS = synthetic_trips(1200)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(TRIPS, MODEL, TRAINING)


def test_no_row_of_the_holdout_is_fitted(trained: Trained) -> None:
    assert trained.trained_until == trained.history["event_at"].max()
    zone = CONTRACT.zone
    fitted, held = (set(rows["event_at"].dt.tz_convert(zone).dt.date) for rows in (trained.history, trained.holdout))
    assert not fitted & held
    assert len(held) == TRAINING.holdout_days
    assert len(trained.history) + len(trained.holdout) == len(TRIPS)


def test_the_model_does_not_depend_on_what_the_holdout_says(trained: Trained) -> None:
    held_out = TRIPS["event_at"].isin(trained.holdout["event_at"])
    other = TRIPS.assign(**{TARGET: TRIPS[TARGET].mask(held_out, 1.0)})
    again = train(other, MODEL, TRAINING)
    pd.testing.assert_series_equal(again.history["prediction"], trained.history["prediction"])
    pd.testing.assert_series_equal(again.holdout["prediction"], trained.holdout["prediction"])


def test_history_and_holdout_are_trips_with_predictions_by_event_time(trained: Trained) -> None:
    for part in (trained.history, trained.holdout):
        assert list(part.columns.drop("cross_fitted", errors="ignore")) == [*TRIP_COLUMNS, TARGET, "prediction"]
        assert part["event_at"].is_monotonic_increasing
        assert part["prediction"].notna().all()


def test_the_history_of_a_table_with_few_rows_a_day_has_predictions_of_models_that_never_saw_them(
    trained: Trained,
) -> None:
    """43 trips a day are few, 430 are not."""
    history = trained.history
    fitted, unseen = ((history[name] - history[TARGET]).abs().mean() for name in ("prediction", "cross_fitted"))
    assert 1.05 * fitted < unseen < 3 * fitted
    assert "cross_fitted" not in trained.reference
    assert "cross_fitted" not in train(synthetic_trips(12_000), MODEL, TRAINING).history


def test_the_model_beats_the_median_by_far(trained: Trained) -> None:
    assert trained.metrics["mae"] < trained.metrics["baseline_mae"] / 2
    assert trained.metrics["rows"] == len(trained.holdout)
    assert trained.metrics["fitted_rows"] == len(trained.history)


def test_metrics_are_those_of_the_holdouts_predictions(trained: Trained) -> None:
    error = (trained.holdout["prediction"] - trained.holdout[TARGET]).abs()
    assert trained.metrics["mae"] == pytest.approx(error.mean())


def test_the_reference_is_a_sample_of_the_history_and_the_whole_holdout(trained: Trained) -> None:
    sample = trained.reference[trained.reference["part"] == "window"].drop(columns="part")
    assert len(sample) == 300
    assert sample["event_at"].is_monotonic_increasing
    assert len(sample.merge(trained.history)) == 300
    rest = trained.reference[trained.reference["part"] == "holdout"].drop(columns="part")
    pd.testing.assert_frame_equal(rest.reset_index(drop=True), trained.holdout)


def test_zones_are_those_that_were_fitted(trained: Trained) -> None:
    assert trained.encoder.vocabularies == {
        "pickup_location_id": (41, 42, 74, 75, 95),
        "dropoff_location_id": (7, 41, 74, 166, 244),
    }


def test_parameters_come_from_the_fitted_estimator(trained: Trained) -> None:
    assert trained.parameters["n_estimators"] == len(trained.model.estimators_)
    assert trained.parameters["criterion"] == "squared_error"
    assert trained.parameters["features"] == ",".join(MODEL.features)
    assert trained.parameters["rows"] == trained.window_choice == "all"


def test_the_figures_can_be_saved(trained: Trained, tmp_path: object) -> None:
    assert set(trained.figures) == {
        "feature_importances.png",
        "residuals_by_hour.png",
        "residuals_by_prediction.png",
    }
    for name, figure in trained.figures.items():
        figure.savefig(f"{tmp_path}/{name}")


def test_since_a_change_the_new_world_is_fitted_and_said_so() -> None:
    trained = train(two_worlds(), MODEL, TRAINING, CHANGES_AT)
    assert trained.window_choice == trained.parameters["rows"] == "since change"
    assert trained.history["event_at"].min() >= pd.Timestamp(CHANGES_AT)
    assert trained.metrics["validation_loss_since_change"] < trained.metrics["validation_loss_all"]


def test_training_twice_gives_the_same_model(trained: Trained) -> None:
    again = train(TRIPS, MODEL, TRAINING)
    assert again.metrics == trained.metrics
    assert again.importances == trained.importances
    pd.testing.assert_frame_equal(again.reference, trained.reference)


def test_an_unknown_feature_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"model\.features: 'weather'"):
        train(TRIPS, Model(features=("trip_distance", "weather")), TRAINING)


def test_a_bad_estimator_is_refused_before_anything_else() -> None:
    with pytest.raises(SettingsError, match=r"model\.estimator"):
        train(TRIPS.iloc[:0], Model(estimator="no.such.Model"), TRAINING)


def test_a_training_fits_no_more_rows_than_it_may_and_says_so(trained: Trained) -> None:
    few = train(TRIPS, MODEL, TRAINING.model_copy(update={"max_rows": 300}))
    assert few.metrics["fitted_rows"] == 300
    assert few.note == (
        f"Fitted on 300 of {len(few.history)} rows of the training window, evenly spread over its days: "
        "training.max_rows is 300."
    )
    assert len(few.history) == len(trained.history)
    assert trained.note == f"Fitted on all {len(trained.history)} rows of the training window."


def test_positives_of_one_week_alone_leave_errors_as_the_model_makes_them() -> None:
    pump = declaration.load(str(Path(__file__).parents[2] / "usecases" / "faults"))
    rows = cleaned(pump, sparse_worlds.faults("2023-01", 2))
    once = rows[TARGET].where(rows["event_at"] < pd.Timestamp("2023-01-08", tz="UTC"), 0.0)
    once.iloc[10] = 1.0
    model = Model(estimator=pump.model.estimator, parameters=MODEL.parameters, features=pump.model_features)
    found = train_by(rows.assign(**{TARGET: once}), pump, model, Training())
    assert "cross_fitted" not in found.history
    assert "cross_fitted" in train_by(rows, pump, model, Training()).history


def cleaned(contract: Contract, raw: pd.DataFrame) -> pd.DataFrame:
    return raw.rename(columns={contract.raw_event_time: "event_at", contract.target.raw_name: TARGET}).astype(
        {TARGET: float, "event_at": "datetime64[us, UTC]"}
    )
