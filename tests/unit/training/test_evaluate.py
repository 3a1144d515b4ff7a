"""The holdout's borders, the metrics and the importances."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from autoops.training import evaluate
from autoops.usecase.columns import TARGET, columns_of
from tests.bundles import synthetic_trips
from tests.taxi import CONTRACT, encoder, feature_matrix

FEATURES = ("trip_distance", "passenger_count", "hour", "pickup_location_id", "dropoff_location_id")


def test_a_trip_at_the_border_is_in_the_later_part() -> None:
    trips = synthetic_trips(50)
    border = trips["event_at"].iloc[20]
    earlier, later = evaluate.split_at(trips, border.to_pydatetime())
    assert (len(earlier), len(later)) == (20, 30)
    assert later["event_at"].iloc[0] == border


def frame(actual: list[float], predicted: list[float] | None = None) -> pd.DataFrame:
    return pd.DataFrame({TARGET: actual, "prediction": predicted or actual})


def test_metrics_against_figures_worked_out_by_hand() -> None:
    found = evaluate.metrics(CONTRACT, frame([10, 20, 30], [12, 20, 29]), frame([5, 15, 40]))
    assert found == pytest.approx(
        {
            "loss": 1.0,
            "baseline_loss": (5 + 5 + 15) / 3,
            "mae": 1.0,
            "rmse": (5 / 3) ** 0.5,
            "r2": 1 - 5 / 200,
            "bias": 1 / 3,
            "baseline_mae": (5 + 5 + 15) / 3,
            "rows": 3,
        }
    )


def test_a_holdout_without_spread_has_metrics_that_are_numbers() -> None:
    found = evaluate.metrics(CONTRACT, frame([10, 10], [11, 9]), frame([10]))
    assert all(np.isfinite(value) for value in found.values())


class Formula(RegressorMixin, BaseEstimator):
    """A model that is known: 4 minutes a mile, and 1 per hundred of the pickup zone."""

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return 4 * inputs[:, 0] + inputs[:, 3] / 100


@pytest.fixture
def known() -> pd.DataFrame:
    trips = synthetic_trips(800)
    return trips.assign(**{TARGET: Formula().predict(feature_matrix(columns_of(trips), FEATURES))})


def test_importances_find_what_the_model_looks_at_and_sum_to_one(known: pd.DataFrame) -> None:
    found = evaluate.importances(Formula(), known, encoder(FEATURES))
    assert list(found) == ["trip_distance", "passenger_count", "hour", "zones"]
    assert sum(found.values()) == pytest.approx(1)
    assert found["trip_distance"] > 0.9
    assert 0 < found["zones"] < 0.1
    assert found["hour"] == found["passenger_count"] == 0


def test_the_two_zones_are_permuted_together(known: pd.DataFrame) -> None:
    class Route(RegressorMixin, BaseEstimator):
        """Sees only whether pickup and dropoff belong together, which a joint permutation keeps."""

        def predict(self, inputs: np.ndarray) -> np.ndarray:
            return inputs[:, 0] + 10.0 * (inputs[:, 3] == inputs[:, 4])

    same = known.assign(dropoff_location_id=known["pickup_location_id"])
    same[TARGET] = Route().predict(feature_matrix(columns_of(same), FEATURES))
    assert evaluate.importances(Route(), same, encoder(FEATURES))["zones"] == 0


def test_a_model_that_looks_at_nothing_shares_the_importance_evenly(known: pd.DataFrame) -> None:
    class Constant(RegressorMixin, BaseEstimator):
        def predict(self, inputs: np.ndarray) -> np.ndarray:
            return np.full(len(inputs), 10.0)

    assert evaluate.importances(Constant(), known, encoder(("trip_distance", "hour"))) == {
        "trip_distance": 0.5,
        "hour": 0.5,
    }


def test_importances_are_the_same_each_time(known: pd.DataFrame) -> None:
    assert evaluate.importances(Formula(), known, encoder(FEATURES)) == evaluate.importances(
        Formula(), known, encoder(FEATURES)
    )
