"""The page is drawn by the real Evidently, and says what the verdict says."""

from pathlib import Path

import pandas as pd
import pytest

from autoops.drift.monitor import DriftVerdict, Reference, judge
from autoops.drift.page import compared, write_page
from autoops.drift.thresholds import Thresholds
from tests.unit.drift.made_up import DRIFT, calibrated, later, manifest


@pytest.fixture(scope="module")
def champion() -> tuple[Reference, Thresholds]:
    return calibrated()


def judged(champion: tuple[Reference, Thresholds], current: pd.DataFrame, labelled: pd.DataFrame) -> DriftVerdict:
    return judge(*champion, manifest(), current, labelled, DRIFT)


def longer_trips_elsewhere(rows: pd.DataFrame) -> pd.DataFrame:
    moved = rows["pickup_location_id"] + 60
    return rows.assign(trip_distance=rows["trip_distance"] * 1.6, pickup_location_id=moved)


@pytest.mark.parametrize("rows", [200, 900])
@pytest.mark.parametrize("change", [lambda rows: rows, longer_trips_elsewhere])
def test_each_column_has_our_distance_and_our_judgement(champion, change, rows: int) -> None:
    current = change(later().iloc[600 : 600 + rows])
    verdict = judged(champion, current, current)
    found = compared(champion[0], current, verdict).dict()
    ours = {result.feature: (result.distance, result.drifted) for result in verdict.features}
    prediction = verdict.detector("prediction drift")
    assert prediction is not None
    ours["prediction"] = (prediction.distance, prediction.alarm)
    theirs = {
        metric["config"]["column"]: (metric["value"], test["status"].value == "FAIL")
        for metric, test in zip(found["metrics"], found["tests"], strict=True)
    }
    assert theirs.keys() == ours.keys()
    for column, (distance, drifted) in ours.items():
        assert theirs[column][0] == pytest.approx(distance, abs=1e-9)
        assert theirs[column][1] == drifted


def test_the_page_opens_with_the_verdict_and_its_reason(champion, tmp_path: Path) -> None:
    current = longer_trips_elsewhere(later().iloc[:200])
    verdict = judged(champion, current, current)
    write_page(tmp_path / "drift.html", champion[0], current, verdict)
    page = (tmp_path / "drift.html").read_text(encoding="utf-8")
    assert page.count("<h1>Drift</h1>") == 1
    assert "trip_distance, pickup_location_id drifted: 94% of the model&#x27;s importance" in page
    assert "<b>loss</b>: no alarm" in page
    assert "Wasserstein distance" in page


def test_nullable_integers_are_no_obstacle(champion, tmp_path: Path) -> None:
    current = later().iloc[:200].astype({"passenger_count": "Int64", "pickup_location_id": "Int64"})
    write_page(tmp_path / "drift.html", champion[0], current, judged(champion, current, current))
    assert "No drift" in (tmp_path / "drift.html").read_text(encoding="utf-8")


def test_where_only_labels_were_judged_the_page_tells_of_them(champion, tmp_path: Path) -> None:
    rows = later()
    verdict = judged(champion, rows.iloc[:50], rows.iloc[:200])
    write_page(tmp_path / "drift.html", champion[0], rows.iloc[:50], verdict)
    page = (tmp_path / "drift.html").read_text(encoding="utf-8")
    assert "data and prediction drift not judged: 50 new predictions" in page
    assert len(page) < 5_000


def test_a_constant_column_is_drawn_too(champion, tmp_path: Path) -> None:
    current = later().iloc[:200].assign(passenger_count=1)
    write_page(tmp_path / "drift.html", champion[0], current, judged(champion, current, current))
    assert (tmp_path / "drift.html").stat().st_size > 1_000_000
