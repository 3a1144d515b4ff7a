"""The study of false alarms and of delays, cut down to one year: `benchmarks/alarms.py` is the whole."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from evidently import Report
from evidently.presets import DataDriftPreset

from autoops.backtest.evidently_default import _dataset
from autoops.settings import Drift
from autoops.usecase.columns import Columns
from benchmarks.alarm_tables import Year, upper_bound, upper_bound_over_versions
from benchmarks.alarms import Study, days_of, main, study_version
from benchmarks.city_days import Version, stacked, weekdays
from benchmarks.rivals import columns, evidently_drifted
from benchmarks.watching import windows_of
from tests.taxi import feature_matrix

pytestmark = pytest.mark.study

TRIPS = 6_000
STUDY = Study(1, 1, 1, (0.25, 1.0), (200,), 86_400, 1, TRIPS)


@pytest.fixture(scope="module")
def version() -> Version:
    return Version.of(days_of(TRIPS), seed=3)


def test_a_version_learns_from_days_that_its_years_do_not_contain(version: Version) -> None:
    own = len(version.trained.history) + len(version.trained.holdout)
    others = sum(len(version.days[each]) for ids in version.others for each in ids)
    assert own + others == sum(map(len, version.days))
    assert [len(set(weekdays([version.days[each] for each in ids]))) for ids in version.others] == [1] * 7


def test_a_year_keeps_each_day_whole_and_each_weekday_where_it_was(version: Version) -> None:
    year = version.year(14)
    days = [day for _, day in year.groupby("day")]
    assert list(weekdays(days)) == [*range(7), *range(7)]
    assert year["event_at"].is_monotonic_increasing
    whole = {tuple(sorted(day["trip_distance"])) for day in version.days}
    assert all(tuple(sorted(day["trip_distance"])) in whole for day in days)


def test_a_check_sees_the_newest_rows_that_none_has_seen(version: Version) -> None:
    year = version.year(14)
    drift = Drift(window_size=300, check_interval_s=86_400)
    windows = list(windows_of(year, drift, hour=6.0))
    positions = [window.index.to_numpy() for window in windows]
    assert all(len(each) == 300 for each in positions)
    assert all(later[0] > earlier[-1] for earlier, later in pairwise(positions))
    hours = [pd.Timestamp(window["event_at"].iloc[-1]).tz_convert("America/New_York").hour for window in windows]
    assert set(hours[:-1]) <= {3, 4, 5, 6}


def test_one_version_is_studied_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    steady, found = study_version(STUDY, 0)
    assert {year.rule for year in steady} >= {"0.25 a year", "1 a year", "KS with p < 0.05, any column"}
    ours = [year for year in steady if year.rule == "1 a year"]
    assert [year.incidents for year in ours] <= [4]
    changes = {run.change: run for run in found}
    assert any(changes["speed -20%"].alarms)
    assert changes["speed -20%"].days is not None
    assert changes["no change"].days is None
    few = f"--versions 1 --years 1 --starts 1 --sizes 200 --rates 1 --rival-years 0 --sampled {TRIPS} --processes 1"
    main(few.split())
    printed = capsys.readouterr().out
    assert "1 a year" in printed
    assert "speed -20%" in printed


def test_years_that_share_a_version_bound_the_mean_less_well() -> None:
    years = [Year(number // 10, 1000, "1 a year", 365, 9, (number // 10) % 2) for number in range(200)]
    assert 0.5 < upper_bound(years) < 0.57 < upper_bound_over_versions(years) < 0.75


def test_the_rival_is_what_evidently_says_itself(version: Version) -> None:
    reference = version.reference.window
    window = stacked([version.predicted[int(ids[0])] for ids in version.others])[:1_000]
    features = version.trained.encoder.features

    class Scorer:
        """Says what the model says, in the shape that `evidently_default` asks for."""

        manifest = version.manifest
        encoder = version.trained.encoder

        def predict_rows(self, trips: Columns) -> npt.NDArray[np.float64]:
            return np.asarray(version.trained.model.predict(feature_matrix(trips, features)))

    snapshot = Report([DataDriftPreset()]).run(_dataset(window, Scorer()), _dataset(reference, Scorer()))
    counted = snapshot.dict()["metrics"][0]["value"]["count"]
    assert counted == len(evidently_drifted(columns(reference, features), columns(window, features)))
    assert np.isfinite(counted)
