"""The sample is judged as real months are: through `clean`, by what the loop would see of it."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from autoops.ingestion.source import file_name
from autoops.months import Month, parse_months
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecases.taxi.sample import write_sample
from autoops.usecases.taxi.traffic import Regime, trips_of
from tests.taxi import day_of_week, feature_matrix, hour_of_day
from tests.unit.ingestion.sampled import FEATURES, MAY, distance_of_zones, mph, sampled


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> pd.DataFrame:
    directory = tmp_path_factory.mktemp("raw")
    write_sample(directory, [MAY])
    return pq.read_table(directory / file_name(MAY)).to_pandas()


def test_a_month_is_the_same_for_the_same_seed_whichever_months_are_written_with_it(tmp_path):
    months = parse_months("2023-03..2023-05")
    write_sample(tmp_path / "together", months, trips_per_month=500)
    write_sample(tmp_path / "alone", [MAY], trips_per_month=500)
    write_sample(tmp_path / "other", [MAY], trips_per_month=500, seed=8)

    together, alone, other = (
        pq.read_table(tmp_path / folder / file_name(MAY)) for folder in ("together", "alone", "other")
    )
    assert together.equals(alone)
    assert not together.equals(other)
    assert sorted(path.name for path in (tmp_path / "together").iterdir()) == [file_name(month) for month in months]


def test_the_types_are_those_that_the_tlc_had_in_the_month(tmp_path):
    write_sample(tmp_path, parse_months("2023-01..2023-02"), trips_per_month=200)

    old, new = (pq.read_schema(tmp_path / file_name(Month(2023, month))) for month in (1, 2))
    assert (str(old.field("PULocationID").type), str(new.field("PULocationID").type)) == ("int64", "int32")
    assert (str(old.field("passenger_count").type), str(new.field("passenger_count").type)) == ("double", "int64")
    assert (str(old.field("ehail_fee").type), str(new.field("ehail_fee").type)) == ("null", "double")


@pytest.mark.parametrize("month", [Month(2022, 1), Month(2023, 1), Month(2023, 2), Month(2023, 6)])
def test_the_schema_is_that_of_the_real_file(tmp_path, tlc_dir, month):
    write_sample(tmp_path, [month], trips_per_month=200)

    real = pq.read_schema(tlc_dir / file_name(month))
    assert pq.read_schema(tmp_path / file_name(month)).equals(real, check_metadata=False)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cleaning_keeps_about_as_much_as_of_real_months(tmp_path, seed):
    cleaned = sampled(tmp_path, seed=seed)

    assert cleaned.rows_read == 20_000
    assert 0.90 <= len(cleaned.rows) / cleaned.rows_read <= 0.95
    assert {"other_month", "too_short", "too_long", "no_distance", "too_far"} <= set(cleaned.dropped)


def test_the_dirt_is_that_of_real_months(raw):
    unreported = raw["passenger_count"].isna()
    minutes = (raw["lpep_dropoff_datetime"] - raw["lpep_pickup_datetime"]).dt.total_seconds() / 60

    assert 0.05 < unreported.mean() < 0.15
    assert unreported.is_monotonic_increasing
    assert raw.loc[unreported, ["payment_type", "RatecodeID", "store_and_fwd_flag"]].isna().all(axis=None)
    assert minutes[unreported].median() > 1.2 * minutes[~unreported].median()
    assert 0.03 < (raw["trip_distance"] == 0).mean() < 0.07
    assert raw["trip_distance"].max() > 1000
    assert minutes.min() < 0
    assert minutes.max() > 300
    assert 0.3 < (raw["lpep_pickup_datetime"].diff().dt.total_seconds() < 0).mean() < 0.6


def test_a_refund_repeats_a_trip_with_its_amount_negated(raw):
    refunds = raw[raw["total_amount"] < 0]

    assert 0.001 < len(refunds) / len(raw) < 0.006
    assert (refunds["payment_type"] == 3).all()
    same = ["lpep_pickup_datetime", "PULocationID", "DOLocationID"]
    before = raw.loc[refunds.index - 1]
    assert (before[same].to_numpy() == refunds[same].to_numpy()).all(axis=1).mean() > 0.8
    assert (before["total_amount"] > 0).all()


def test_there_are_days_and_weeks_in_volume_speed_distance_and_zones(steady):
    columns = columns_of(steady)
    hour, weekend = hour_of_day(columns["event_at"]), day_of_week(columns["event_at"]) >= 5
    night, rush = hour < 5, (hour >= 15) & (hour < 19)

    assert rush.sum() / 4 > 5 * night.sum() / 5
    assert mph(steady)[night].median() > 1.25 * mph(steady)[rush].median()
    assert steady["trip_distance"][night].mean() > 1.05 * steady["trip_distance"][rush].mean()
    assert mph(steady)[weekend].median() > 1.05 * mph(steady)[~weekend].median()
    assert distance_of_zones(steady[night], steady[rush]) > 2 * distance_of_zones(steady[::2], steady[1::2])


def test_the_clocks_that_change_leave_no_hour_out_and_none_that_does_not_exist():
    spring, autumn = (
        pd.Series(trips_of(month, 60_000, 7, 0.1, Regime()).picked_up) for month in (Month(2022, 3), Month(2022, 11))
    )

    def at(moments: pd.Series, hour: str) -> int:
        return int((moments.dt.strftime("%Y-%m-%d %H") == hour).sum())

    assert (at(spring, "2022-03-13 02"), at(spring, "2022-03-13 01") > 0) == (0, True)
    assert at(autumn, "2022-11-06 01") > 1.3 * at(autumn, "2022-11-13 01")


def test_days_differ_beyond_the_calendar_and_a_day_resembles_the_day_before():
    months = [trips_of(month, 30_000, 7, 0, Regime()) for month in parse_months("2022-01..2022-12")]
    frame = pd.DataFrame(
        {
            "day": np.concatenate([trips.picked_up.astype("datetime64[D]") for trips in months]),
            "pace": np.concatenate([np.log(trips.minutes / trips.miles**0.75) for trips in months]),
        }
    )
    days = frame.groupby("day")["pace"]
    volume, pace = _beyond_the_week(np.log(days.size())), _beyond_the_week(days.mean())

    assert 0.05 < volume.std() < 0.20
    assert 0.005 < pace.std() < 0.05
    for series in (volume, pace):
        assert 0.1 < series.autocorr(1) < 0.7
        assert abs(series.autocorr(20)) < 0.15


def _beyond_the_week(series: pd.Series) -> pd.Series:
    return series - series.groupby(pd.DatetimeIndex(series.index).dayofweek).transform("mean")


def test_a_forest_beats_the_median_as_clearly_as_on_real_months(steady, forest):
    test = steady

    error = test[TARGET] - forest.predict(feature_matrix(columns_of(test), FEATURES))
    baseline = (test[TARGET] - test[TARGET].median()).abs().mean()
    assert 0.68 <= 1 - error.var() / test[TARGET].var() <= 0.82
    assert error.abs().mean() < 0.5 * baseline
    assert error.abs()[test[TARGET] > 20].mean() > 2 * error.abs()[test[TARGET] < 8].mean()
