import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from autoops.drift.monitor import DriftVerdict, Reference, judge, thinned
from autoops.drift.thresholds import Thresholds
from autoops.models import bundle
from autoops.settings import Drift
from tests.unit.drift.made_up import DRIFT, IMPORTANCES, calibrated, later, manifest, trips

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def champion() -> tuple[Reference, Thresholds]:
    return calibrated()


@pytest.fixture(scope="module")
def steady() -> pd.DataFrame:
    return later()


def verdict_on(champion, current: pd.DataFrame, labelled: pd.DataFrame | None = None, **settings) -> DriftVerdict:
    rows = current if labelled is None else labelled
    return judge(*champion, manifest(), current, rows, Drift(window_size=200, **settings))


def farther(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(trip_distance=rows["trip_distance"] * 1.6)


def elsewhere(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(pickup_location_id=rows["pickup_location_id"] + 60)


def longer_predicted(rows: pd.DataFrame) -> pd.DataFrame:
    added = rows["prediction"] * 0.6
    return rows.assign(prediction=rows["prediction"] + added, target=rows["target"] + added)


def slower(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(target=rows["target"] + 1.6)


def noisier(rows: pd.DataFrame) -> pd.DataFrame:
    error = rows["target"] - rows["prediction"]
    return rows.assign(target=rows["prediction"] + error * 2.5)


@pytest.mark.parametrize(
    ("change", "alarming", "says"),
    [
        (lambda rows: rows, set(), "no feature drifted"),
        (farther, {"data drift"}, "trip_distance drifted: 78% of the model's importance"),
        (elsewhere, set(), "pickup_location_id drifted: 17% of the model's importance"),
        (longer_predicted, {"prediction drift"}, "standard deviations from the reference"),
        (slower, {"loss"}, "above the prediction"),
        (noisier, {"loss"}, "the mean absolute error is"),
    ],
)
def test_what_each_change_sets_off(champion, steady, change: Change, alarming: set[str], says: str) -> None:
    verdict = verdict_on(champion, change(steady.iloc[600:800]))
    assert {result.name for result in verdict.detectors if result.alarm} == alarming
    assert verdict.alarm == bool(alarming)
    assert verdict.verdict == ("drift" if alarming else "no drift")
    assert says in verdict.reason
    assert (verdict.rows, verdict.labelled_rows) == (200, 200)


def test_a_verdict_carries_all_its_figures_as_json(champion, steady) -> None:
    verdict = verdict_on(champion, farther(steady.iloc[:200]))
    content = json.loads(json.dumps(verdict.to_json()))
    names = [each["feature"] for each in content["features"]]
    assert names == ["trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id"]
    distance = content["features"][0]
    assert distance["feature"] == "trip_distance"
    assert distance["method"] == "wasserstein"
    assert distance["distance"] >= distance["threshold"]
    assert distance["drifted"]
    assert [each["name"] for each in content["detectors"]] == ["data drift", "prediction drift", "loss"]
    assert all(each["rows"] == 200 and each["reason"] for each in content["detectors"])
    assert content["event_from"] == steady["event_at"].iloc[2].isoformat()
    assert content["event_until"] == steady["event_at"].iloc[197].isoformat()


@pytest.mark.parametrize(
    ("rows", "labels", "expected", "says"),
    [
        (0, 0, "no new data", "no prediction and no label"),
        (199, 0, "not enough data", "199 new predictions and 0 new labels: a window has 200"),
        (199, 199, "not enough data", "199 new predictions and 199 new labels"),
        (200, 0, "no drift", "loss not judged: 0 new labels"),
        (0, 200, "no drift", "data and prediction drift not judged: 0 new predictions"),
        (1000, 200, "no drift", "ordinary windows stay"),
    ],
)
def test_too_few_rows_are_never_called_no_drift(
    champion, steady, rows: int, labels: int, expected: str, says: str
) -> None:
    verdict = verdict_on(champion, steady.iloc[:rows], steady.iloc[:labels])
    assert verdict.verdict == expected
    assert says in verdict.reason
    assert not verdict.alarm
    assert ("data drift" in {result.name for result in verdict.detectors}) == (rows >= 200)
    assert ("loss" in {result.name for result in verdict.detectors}) == (labels >= 200)


def test_thresholds_for_more_rows_than_configured_now_wait_for_them(champion, steady) -> None:
    verdict = judge(*champion, manifest(), steady[:150], steady[:150], Drift(window_size=100))
    assert verdict.verdict == "not enough data"
    assert "a window has 200" in verdict.reason


def test_a_history_too_short_to_calibrate_on_judges_nothing(champion, steady) -> None:
    thresholds = Thresholds(200, 1, 700, ())
    verdict = judge(champion[0], thresholds, manifest(), steady[:200], steady[:200], DRIFT)
    assert verdict.verdict == "not enough data"
    assert "too short to say what is ordinary" in verdict.reason


def test_the_same_rows_in_any_order_give_the_same_verdict(champion, steady) -> None:
    window = farther(steady.iloc[:200])
    shuffled = window.sample(frac=1, random_state=3)
    assert verdict_on(champion, window).to_json() == verdict_on(champion, shuffled).to_json()


def test_of_many_rows_a_window_is_judged_that_spans_them_all(champion, steady) -> None:
    verdict = verdict_on(champion, steady)
    assert verdict.rows == 200
    assert verdict.verdict == "no drift"
    assert (verdict.event_until - verdict.event_from).days >= 20
    week = champion[1].limits[1]
    assert verdict.features[0].threshold == week.distances["trip_distance"]


def test_the_event_span_is_that_of_the_alarming_rows(champion, steady) -> None:
    verdict = verdict_on(champion, steady.iloc[400:600], slower(steady.iloc[:200]))
    assert verdict.event_from == steady["event_at"].iloc[2]
    assert verdict.event_until == steady["event_at"].iloc[197]
    spans = {result.name: (result.event_from, result.event_until) for result in verdict.detectors}
    assert spans["loss"] == (verdict.event_from, verdict.event_until)
    assert spans["data drift"][0] == steady["event_at"].iloc[402], "predictions are of newer trips than labels"


@pytest.mark.parametrize("year", [2009, 2090])
def test_a_row_of_another_year_moves_no_span(champion, steady, year: int) -> None:
    window = slower(steady.iloc[:200])
    strayed = window.assign(event_at=window["event_at"].where(window.index != 77, pd.Timestamp(year, 1, 1, tz="UTC")))
    usual, found = verdict_on(champion, window), verdict_on(champion, strayed)
    assert (found.verdict, found.findings) == (usual.verdict, usual.findings)
    assert abs(found.event_from - usual.event_from) < timedelta(hours=1)
    assert abs(found.event_until - usual.event_until) < timedelta(hours=1)


def test_both_zones_count_once_and_a_lower_threshold_lets_them_alarm(champion, steady) -> None:
    moved = elsewhere(steady.iloc[:200])
    moved["dropoff_location_id"] += 60
    (data, *_) = verdict_on(champion, moved, threshold=0.1).detectors
    assert data.distance == pytest.approx(0.15 / 0.9)
    assert data.alarm


def test_drift_of_what_the_model_hardly_uses_is_told_but_is_no_alarm(champion, steady) -> None:
    window = steady.iloc[:200].assign(passenger_count=5)
    verdict = judge(*champion, manifest(IMPORTANCES | {"passenger_count": 0.0}), window, window, DRIFT)
    assert [result.feature for result in verdict.features if result.drifted] == ["passenger_count"]
    assert verdict.verdict == "no drift"


def test_a_burst_denser_than_all_history_says_so_in_its_alarm(champion) -> None:
    hour = trips(10, start="2026-02-10T12:00", seed=5).iloc[:200]
    burst = farther(hour.assign(event_at=pd.date_range("2026-02-10T12:00", periods=200, freq="s", tz="UTC", unit="us")))
    verdict = verdict_on(champion, burst)
    assert verdict.alarm
    assert "more densely than any" in verdict.reason


def test_an_empty_frame_without_types_is_no_new_data(champion) -> None:
    assert verdict_on(champion, pd.DataFrame(), pd.DataFrame()).verdict == "no new data"


def test_a_reference_is_read_from_its_bundle(champion, tmp_path: Path) -> None:
    reference = champion[0]
    parts = [reference.window.assign(part="window"), reference.holdout.assign(part="holdout")]
    pd.concat(parts).to_parquet(tmp_path / bundle.REFERENCE)
    read = Reference.read(tmp_path, manifest())
    assert len(read.window) == len(reference.window)
    assert read.holdout["prediction"].tolist() == reference.holdout["prediction"].tolist()


def test_of_more_rows_as_many_as_calibrated_are_judged_evenly_in_event_order(champion, steady) -> None:
    some = thinned(steady.iloc[:600][::-1], 200)
    assert len(some) == 200
    assert some["event_at"].is_monotonic_increasing
    assert some.index.tolist() == list(range(1, 600, 3))
    few = thinned(steady.iloc[:100][::-1], 200)
    assert few.index.tolist() == list(range(100))
    assert [result.rows for result in verdict_on(champion, steady.iloc[:600]).detectors] == [200, 200, 200]


def test_a_verdict_keeps_the_relative_error_for_those_to_come(champion, steady) -> None:
    window = steady.iloc[600:800]
    usual, slow = (verdict_on(champion, rows).relative_error for rows in (window, slower(window)))
    assert abs(usual) < 0.05 < slow
    assert verdict_on(champion, window, labelled=window.iloc[:10]).relative_error is None


def test_no_share_is_needed_where_nothing_drifted(champion, steady) -> None:
    data_drift = verdict_on(champion, steady.iloc[600:800], threshold=0.0).detector("data drift")
    assert (data_drift.alarm, data_drift.distance) == (False, 0)


def test_an_alarm_names_its_finding_and_nothing_else_does(champion, steady) -> None:
    usual = verdict_on(champion, steady.iloc[600:800])
    assert [result.findings for result in usual.detectors] == [(), (), ()]
    verdict = verdict_on(champion, farther(steady.iloc[600:800]))
    assert {result.name: result.findings for result in verdict.detectors if result.findings} == {
        "data drift": ("data drift",)
    }


def test_a_limit_that_is_reached_is_beyond(champion, steady) -> None:
    changed = longer_predicted(farther(steady.iloc[600:800]))
    found = verdict_on(champion, changed)
    share, distance = (found.detector(name).distance for name in ("data drift", "prediction drift"))
    reference, thresholds = champion
    miles = next(result.distance for result in found.features if result.feature == "trip_distance")
    exact = tuple(
        replace(limits, distances=limits.distances | {"prediction": distance, "trip_distance": miles})
        for limits in thresholds.limits
    )
    reached = verdict_on((reference, replace(thresholds, limits=exact)), changed, threshold=share)
    assert reached.detector("data drift").alarm
    assert reached.detector("prediction drift").alarm


def test_an_alarm_spans_all_windows_that_alarmed(champion, steady) -> None:
    late, early = farther(steady.iloc[600:800]), slower(steady.iloc[200:400])
    for current, labelled in ((late, early), (farther(early), slower(late))):
        verdict = verdict_on(champion, current, labelled)
        assert verdict.event_from == early["event_at"].iloc[2].to_pydatetime()
        assert verdict.event_until == late["event_at"].iloc[-3].to_pydatetime()


def test_a_feature_that_means_nothing_to_the_model_carries_nothing(champion, steady) -> None:
    for importances in ({"zones": 1.0}, {}):
        changed = farther(steady.iloc[600:800])
        verdict = judge(*champion, manifest(importances), changed, changed, Drift(window_size=200))
        miles = next(result for result in verdict.features if result.feature == "trip_distance")
        assert (miles.drifted, miles.importance) == (True, 0)
        assert not verdict.detector("data drift").alarm


def test_without_limits_nothing_alarms(champion, steady) -> None:
    reference, thresholds = champion
    verdict = verdict_on((reference, replace(thresholds, limits=())), farther(steady.iloc[600:800]))
    assert (verdict.verdict, verdict.alarm) == ("not enough data", False)
