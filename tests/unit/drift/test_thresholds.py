import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from autoops.drift.performance import ErrorLimits
from autoops.drift.thresholds import Limits, Thresholds, span_days
from autoops.errors import BundleError
from autoops.settings import Drift
from autoops.usecase.columns import PREDICTION
from tests.taxi import CONTRACT, calibrate
from tests.unit.drift.made_up import DRIFT, FEATURES, calibrated, history, trips


def test_calendar_features_are_not_watched() -> None:
    assert CONTRACT.watched(("hour", "trip_distance", "day_of_week", "month")) == ("trip_distance",)


def test_each_watched_column_and_the_errors_have_limits_for_two_spans() -> None:
    _, thresholds = calibrated()
    assert thresholds.window_size == DRIFT.window_size
    half_a_day, week = thresholds.limits
    columns = {"trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id", "prediction"}
    assert set(half_a_day.distances) == set(week.distances) == columns
    assert half_a_day.span_days < 1
    assert week.span_days == pytest.approx(7, abs=0.3)
    assert half_a_day.windows == 70
    assert half_a_day.errors.relative_low < 0 < half_a_day.errors.relative_high
    assert all(week.distances[name] <= half_a_day.distances[name] for name in columns)


def test_calibration_is_deterministic() -> None:
    assert calibrated()[1] == calibrated()[1]


def test_json_tells_all_and_is_small() -> None:
    _, thresholds = calibrated()
    text = thresholds.to_json()
    assert Thresholds.from_json(text) == thresholds
    assert len(text) < 5_000
    assert json.loads(text)["window_size"] == 200


WRITTEN_BEFORE_RATES_WERE_YEARLY = '{"window_size": 1, "false_alarm_rate": 0.01, "limits": []}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"window_size": 1, "false_alarms_per_year": 1, "windows_per_year": 9, "limits": [{}]}',
        WRITTEN_BEFORE_RATES_WERE_YEARLY,
    ],
)
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="thresholds: not readable"):
        Thresholds.from_json(text)


@pytest.mark.parametrize(
    ("strict", "loose"),
    [
        (Drift(window_size=200, false_alarms_per_year=0.1), Drift(window_size=200, false_alarms_per_year=10)),
        (Drift(window_size=200, alarms_needed=1), Drift(window_size=200, alarms_needed=3)),
    ],
    ids=["rarer alarms", "less persistence"],
)
def test_wider_limits_come_from(strict: Drift, loose: Drift) -> None:
    wide, narrow = (calibrated(drift)[1].limits[0] for drift in (strict, loose))
    assert all(wide.distances[name] > narrow.distances[name] for name in narrow.distances)
    assert wide.errors.relative_high > narrow.errors.relative_high
    assert wide.errors.recent_low < narrow.errors.recent_low


def test_checks_once_a_day_are_calibrated_at_the_hour_that_differs_most() -> None:
    """Evenings with a level of their own, which windows of all hours average away."""
    fitted, holdout, reference = history(days=60)
    hour = fitted["event_at"].dt.hour
    noise = np.where(hour < 6, np.random.default_rng(0).normal(0, 0.3, 70)[fitted["event_at"].dt.dayofyear], 0)
    restless = fitted.assign(target=fitted["target"] * np.exp(noise))
    often, daily = (
        calibrate(restless, holdout, reference, FEATURES, Drift(window_size=100, check_interval_s=interval)).limits[0]
        for interval in (3600, 86_400)
    )
    assert daily.errors.relative_high > often.errors.relative_high
    assert daily.windows <= 67


def test_the_year_is_that_of_the_traffic_or_of_the_checks() -> None:
    assert calibrated()[1].windows_per_year == pytest.approx(400 * 365.25 / 200, rel=0.01)
    assert calibrated(Drift(window_size=200, check_interval_s=86_400))[1].windows_per_year == pytest.approx(365.25)


@pytest.mark.parametrize("windows", [2, 3])
def test_a_history_of_two_windows_calibrates_nothing(windows: int) -> None:
    fitted = history(days=2)[0].iloc[: windows * DRIFT.window_size]
    found = calibrate(fitted, fitted.iloc[:0], fitted.assign(part="window"), FEATURES, DRIFT)
    assert [limits.windows for limits in found.limits] == ([] if windows < 3 else [3])


def test_a_sparse_history_has_windows_of_a_week_whatever_is_set() -> None:
    fitted, holdout, reference = history(days=60)
    sparse = [part.iloc[::20] for part in (fitted, holdout, reference)]
    found = calibrate(*sparse, FEATURES, DRIFT)
    (only,) = found.limits
    assert found.rows_per_day == pytest.approx(20, rel=0.05)
    assert found.window_size == found.rows_needed(1_000) == pytest.approx(140, rel=0.05)
    assert (only.span_days, only.windows) == (pytest.approx(7, rel=0.1), 9)


def test_versions_of_earlier_releases_need_the_rows_that_are_set() -> None:
    thresholds = calibrated()[1]
    content = json.loads(thresholds.to_json())
    assert content.pop("rows_per_day") > 300
    old = Thresholds.from_json(json.dumps(content))
    assert (old.rows_needed(5_000), old.rows_needed(100)) == (5_000, DRIFT.window_size)


def test_a_version_says_what_its_detectors_cannot_notice() -> None:
    thresholds = calibrated()[1]
    assert thresholds.blind_to(CONTRACT) == ()
    (limits, *_) = thresholds.limits
    wide = {"trip_distance": 3.1, "pickup_location_id": 0.9, "passenger_count": 0.5, PREDICTION: 2.9}
    errors = replace(limits.errors, absolute_mean=1.0, absolute_high=3.1)
    hardly = replace(thresholds, limits=(replace(limits, distances=wide, errors=errors),))
    assert hardly.blind_to(CONTRACT) == ("trip_distance", "pickup_location_id", "larger errors")
    for of_level in ({"relative_high": 1.2}, {"relative_low": -1.2}):
        far = replace(limits, errors=replace(limits.errors, **of_level))
        assert replace(thresholds, limits=(far,)).blind_to(CONTRACT) == ("targets off on one side",)
    assert replace(thresholds, limits=()).blind_to(CONTRACT) == ("everything",)


def test_cross_fitted_errors_count_as_they_are_and_tell_the_level() -> None:
    fitted, holdout, reference = history(days=60)
    crossed = fitted.assign(cross_fitted=fitted["prediction"])
    known, found = (calibrate(rows, holdout, reference, FEATURES, DRIFT).limits[0].errors for rows in (fitted, crossed))
    assert found.absolute_mean <= known.absolute_mean
    assert found.absolute_high - found.absolute_mean < known.absolute_high - known.absolute_mean
    larger = fitted.assign(cross_fitted=2 * fitted["prediction"] - fitted["target"])
    widened = calibrate(larger, holdout, reference, FEATURES, DRIFT).limits[0].errors
    assert widened.absolute_mean > 1.7 * found.absolute_mean


def test_a_window_is_not_measured_against_its_own_rows() -> None:
    """With zones of its own in each window, every window is as far from all others as can be."""
    fitted, holdout, _ = history(days=10)
    unlike = fitted.assign(pickup_location_id=np.arange(len(fitted)) // DRIFT.window_size)
    thresholds = calibrate(unlike, holdout.iloc[:0], unlike.assign(part="window"), FEATURES, DRIFT)
    assert thresholds.limits[0].distances["pickup_location_id"] == pytest.approx(np.sqrt(np.log(2)))


def test_errors_of_fitted_rows_count_as_large_as_those_of_held_out_rows() -> None:
    fitted, holdout, reference = history()
    ratio = np.log(fitted["target"] / fitted["prediction"])
    flattering = fitted.assign(target=fitted["prediction"] * np.exp(ratio / 3))
    honest, corrected = (
        calibrate(rows, holdout, reference, FEATURES, DRIFT).limits[0].errors for rows in (fitted, flattering)
    )
    assert corrected.relative_high == pytest.approx(honest.relative_high, rel=0.15)
    assert corrected.absolute_mean == pytest.approx(honest.absolute_mean, rel=0.1)


def test_a_window_gets_the_limits_of_the_longest_span_that_it_fills() -> None:
    errors = ErrorLimits(0, -1, 1, -1, 1, 3, 4)
    half_a_day, week = Limits(0.4, 70, {}, errors), Limits(6.5, 20, {}, errors)
    thresholds = Thresholds(200, 1, 700, (half_a_day, week))
    expected = {0.01: half_a_day, 0.4: half_a_day, 6: half_a_day, 6.5: week, 30: week}
    assert {days: thresholds.for_span(days) for days in expected} == expected


def test_steady_traffic_spans_the_time_from_its_first_trip_to_its_last() -> None:
    hourly = pd.Series(pd.date_range("2026-02-10", periods=73, freq="h", tz="UTC", unit="us"))
    assert span_days(hourly) == pytest.approx(3)


def test_a_straggler_does_not_make_a_window_long() -> None:
    moments = trips(1)["event_at"]
    straggling = pd.concat([pd.Series([moments.iloc[0] - pd.Timedelta(days=60)]), moments])
    assert span_days(straggling) == pytest.approx(span_days(moments), rel=0.05)
