from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from autoops.drift.monitor import Reference
from autoops.drift.verdict import DriftVerdict, FeatureResult
from autoops.loop.monitor.slice_analysis import analyse
from autoops.usecase.columns import TARGET
from tests.taxi import CONTRACT

ORDINARY = DriftVerdict("drift", True, "slower", 2_000, 2_000)


def trips(seed: int, rows: int = 2_000) -> pd.DataFrame:
    """Of ten pickup zones and all hours of two weeks, with errors of 2 minutes or so."""
    rng = np.random.default_rng(seed)
    begin = pd.Timestamp(datetime(2022, 4, 4, tzinfo=UTC)).as_unit("us")
    frame = pd.DataFrame(
        {
            "event_at": begin + pd.to_timedelta(np.sort(rng.uniform(0, 14 * 86_400, rows)), unit="s").as_unit("us"),
            "trip_distance": rng.gamma(2, 1.5, rows) + 0.1,
            "passenger_count": rng.integers(0, 3, rows),
            "pickup_location_id": rng.integers(1, 11, rows),
            "dropoff_location_id": rng.integers(1, 11, rows),
            TARGET: rng.gamma(4, 3, rows) + 1,
        }
    )
    return frame.assign(prediction=frame[TARGET] + rng.normal(0, 2.5, rows))


def slower(frame: pd.DataFrame, where: pd.Series, minutes: float) -> pd.DataFrame:
    return frame.assign(**{TARGET: frame[TARGET] + where * minutes})


def cause(labelled: pd.DataFrame, verdict: DriftVerdict = ORDINARY) -> dict[str, object]:
    return analyse(Reference(trips(1), trips(2), CONTRACT), verdict, labelled)


@pytest.mark.parametrize("seed", range(3, 8))
def test_the_zone_where_the_error_grew_stands_out_alone(seed: int) -> None:
    frame = trips(seed)
    error = cause(slower(frame, frame["pickup_location_id"] == 7, 6))["error"]
    assert [zone["name"] for zone in error["values"]] == ["pickup_location_id=7"]
    assert error["signed"] < error["signed_before"]


def test_the_hours_in_which_the_error_grew_stand_out() -> None:
    frame = trips(3)
    evening = frame["event_at"].dt.tz_convert("America/New_York").dt.hour.between(16, 21)
    error = cause(slower(frame, evening, 5))["error"]
    assert [group["name"] for group in error["groups"] if group["stands_out"]] == ["hours 16 to 22"]


@pytest.mark.parametrize("seed", range(3, 13))
def test_where_it_grew_everywhere_nothing_stands_out(seed: int) -> None:
    frame = trips(seed)
    grown = frame.assign(prediction=frame[TARGET] + 2 * (frame["prediction"] - frame[TARGET]))
    error = cause(grown)["error"]
    assert error["absolute"] > 1.7 * error["absolute_before"]
    assert error["values"] == []
    assert not any(group["stands_out"] for group in error["groups"])


def test_features_come_by_their_weight_in_the_model() -> None:
    features = tuple(
        FeatureResult(name, "wasserstein", distance, 0.1, distance >= 0.1, importance)
        for name, distance, importance in [
            ("passenger_count", 0.9, 0.05),
            ("trip_distance", 0.3, 0.7),
            ("pickup_location_id", 0.05, 0.25),
        ]
    )
    found = cause(trips(3), DriftVerdict("drift", True, "", 2_000, 2_000, features))["features"]
    assert [one["feature"] for one in found] == ["trip_distance", "passenger_count"]


def test_without_ground_truth_the_error_is_not_known() -> None:
    assert cause(trips(3).iloc[:0])["error"] is None


def test_too_few_trips_of_a_group_say_nothing() -> None:
    frame = trips(3, rows=60)
    assert cause(slower(frame, frame["pickup_location_id"] == 7, 60))["error"]["values"] == []


def test_a_zone_without_any_error_is_left_out() -> None:
    """An hour in which nothing is ever rented is predicted exactly."""
    exact = [frame.assign(prediction=frame[TARGET]) for frame in (trips(1), trips(2))]
    found = analyse(Reference(*exact, CONTRACT), ORDINARY, trips(3))
    assert found["error"]["groups"] == found["error"]["values"] == []
