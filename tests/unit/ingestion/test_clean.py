from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from autoops.errors import CorruptFile, EmptyMonth, NotFound, SchemaError
from autoops.ingestion.source import DirectorySource, file_name
from autoops.months import Month
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi import trips
from autoops.usecases.taxi.clean import NUMBERS, REASONS, TIMES, clean
from tests.taxi import TRIP_COLUMNS
from tests.unit.ingestion.raw import MARCH, raw_table, write_month


def stays(pickup: str, dropoff: str) -> dict[str, str]:
    return {"lpep_pickup_datetime": pickup, "lpep_dropoff_datetime": dropoff}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"lpep_pickup_datetime": None}, "no_time"),
        ({"lpep_dropoff_datetime": None}, "no_time"),
        (stays("2022-02-28T23:59:59", "2022-03-01T00:10:00"), "other_month"),
        (stays("2022-04-01T00:00:00", "2022-04-01T00:10:00"), "other_month"),
        (stays("2008-12-31T23:02:00", "2008-12-31T23:12:00"), "other_month"),
        (stays("2022-03-15T12:00:00", "2022-03-15T12:00:59"), "too_short"),
        (stays("2022-03-15T12:00:00", "2022-03-15T11:30:00"), "too_short"),
        (stays("2022-03-15T12:00:00", "1970-01-01T00:00:00"), "too_short"),
        (stays("2022-03-15T12:00:00", "2022-03-15T13:00:01"), "too_long"),
        (stays("2022-03-15T12:00:00", "9999-12-31T23:00:00"), "too_long"),
        ({"trip_distance": 0.0}, "no_distance"),
        ({"trip_distance": -2.0}, "no_distance"),
        ({"trip_distance": None}, "no_distance"),
        ({"trip_distance": 100.0}, "too_far"),
        ({"trip_distance": float("inf")}, "too_far"),
        ({"PULocationID": 0}, "unknown_zone"),
        ({"DOLocationID": 266}, "unknown_zone"),
        ({"DOLocationID": 70_000}, "unknown_zone"),
        ({"PULocationID": None}, "unknown_zone"),
        ({"passenger_count": 10}, "impossible_passengers"),
        ({"passenger_count": -1}, "impossible_passengers"),
        ({"passenger_count": 1.5}, "impossible_passengers"),
    ],
)
def test_a_row_that_is_no_trip_is_dropped_and_counted_by_its_reason(tmp_path, row, reason):
    cleaned = clean(write_month(tmp_path, [{}, row]), MARCH)

    assert cleaned.dropped == {reason: 1}
    assert (len(cleaned.rows), cleaned.rows_read) == (1, 2)


@pytest.mark.parametrize(
    "row",
    [
        stays("2022-03-01T00:00:00", "2022-03-01T00:01:00"),
        stays("2022-03-31T23:59:59", "2022-04-01T00:59:59"),
        {"trip_distance": 0.01},
        {"trip_distance": 99.99},
        {"PULocationID": 1, "DOLocationID": 265},
        {"passenger_count": 9},
    ],
)
def test_the_edges_of_what_is_a_trip_are_kept(tmp_path, row):
    assert clean(write_month(tmp_path, [row]), MARCH).dropped == {}


def test_a_row_that_fails_several_counts_under_the_first(tmp_path):
    path = write_month(tmp_path, [{}, {"trip_distance": 0.0, "PULocationID": 0, "lpep_pickup_datetime": None}])

    assert clean(path, MARCH).dropped == {REASONS[0]: 1}


def test_a_trip_is_what_the_contract_says(tmp_path):
    frame = clean(write_month(tmp_path, [{"passenger_count": None}]), MARCH).rows

    assert list(frame.columns) == [*TRIP_COLUMNS, TARGET]
    assert str(frame["event_at"].dtype) == "datetime64[us, UTC]"
    assert frame.iloc[0].to_dict() == {
        "event_at": datetime(2022, 3, 15, 16, tzinfo=UTC),
        "trip_distance": 2.5,
        "passenger_count": 0,
        "pickup_location_id": 74,
        "dropoff_location_id": 75,
        "target": 10.0,
    }
    assert [str(frame[name].dtype) for name in TRIP_COLUMNS[1:]] == ["float64", "int16", "int16", "int16"]


def test_trips_come_sorted_by_pickup_and_rows_of_one_moment_in_the_order_of_the_file(tmp_path):
    rows = [
        stays(f"2022-03-{day:02}T12:00:00", f"2022-03-{day:02}T12:10:00") | {"PULocationID": zone}
        for zone, day in enumerate([20, 5] * 100, start=1)
    ]

    zones = clean(write_month(tmp_path, rows), MARCH).rows["pickup_location_id"].tolist()
    assert zones == [*range(2, 201, 2), *range(1, 200, 2)]


def test_what_the_tlc_changed_between_months_reads_the_same(tmp_path):
    rows = [{}, {"passenger_count": None, "trip_distance": 1.0}]
    old = pq.read_table(write_month(tmp_path / "old", rows))
    new = raw_table(rows, Month(2023, 2)).append_column("cbd_congestion_fee", [[0.0, 0.0]])
    assert old.schema.field("PULocationID").type != new.schema.field("PULocationID").type
    pq.write_table(new.select(reversed(new.column_names)), tmp_path / "new.parquet")

    older, newer = (clean(path, MARCH).rows for path in (tmp_path / "old" / file_name(MARCH), tmp_path / "new.parquet"))
    assert older.equals(newer)


def test_a_count_that_is_null_throughout_is_not_reported(tmp_path):
    table = raw_table([{}, {}])
    position = table.column_names.index("passenger_count")
    pq.write_table(table.set_column(position, "passenger_count", pa.nulls(2)), tmp_path / "x.parquet")

    assert clean(tmp_path / "x.parquet", MARCH).rows["passenger_count"].tolist() == [0, 0]


@pytest.mark.parametrize("column", [*TIMES, *NUMBERS])
def test_a_missing_column_is_named_with_its_file(tmp_path, column):
    table = raw_table([{}]).drop_columns([column])
    pq.write_table(table.append_column(f"{column}_v2", [[1]]), tmp_path / "x.parquet")

    with pytest.raises(SchemaError, match=rf"x\.parquet: column {column} is missing; there are .*{column}_v2"):
        clean(tmp_path / "x.parquet", MARCH)


@pytest.mark.parametrize(
    ("column", "came"),
    [
        ("trip_distance", pa.string()),
        ("PULocationID", pa.bool_()),
        ("passenger_count", pa.date32()),
        ("lpep_pickup_datetime", pa.string()),
        ("lpep_pickup_datetime", pa.int64()),
        ("lpep_dropoff_datetime", pa.timestamp("us", tz="UTC")),
    ],
)
def test_a_wrong_type_is_named_with_what_came(tmp_path, column, came):
    table = raw_table([{}])
    position = table.column_names.index(column)
    pq.write_table(table.set_column(position, column, pa.nulls(1, came)), tmp_path / "x.parquet")

    with pytest.raises(SchemaError) as refusal:
        clean(tmp_path / "x.parquet", MARCH)
    assert f"x.parquet: column {column} is {came}" in str(refusal.value)


@pytest.mark.parametrize("rows", [[], [{"trip_distance": 0.0}]])
def test_a_month_without_a_single_trip_is_empty(tmp_path, rows):
    with pytest.raises(EmptyMonth, match=f"none of its {len(rows)} rows is a trip of 2022-03"):
        clean(write_month(tmp_path, rows), MARCH)


def test_a_file_cut_short_and_one_that_is_not_there(tmp_path):
    path = write_month(tmp_path, [{}])
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(CorruptFile, match=path.name):
        clean(path, MARCH)
    with pytest.raises(NotFound):
        clean(tmp_path / "none.parquet", MARCH)


def test_a_file_with_a_broken_page_and_a_sound_footer_is_corrupt(tmp_path):
    path = write_month(tmp_path, [{"trip_distance": 1 + n / 100} for n in range(500)])
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    path.write_bytes(content)

    with pytest.raises(CorruptFile, match=path.name):
        clean(path, MARCH)


NOVEMBER = Month(2022, 11)


@pytest.mark.parametrize(
    ("month", "pickup", "dropoff", "picked_up_at", "minutes"),
    [
        (MARCH, "2022-03-13T01:50", "2022-03-13T03:10", datetime(2022, 3, 13, 6, 50, tzinfo=UTC), 20),
        (MARCH, "2022-03-13T02:30", "2022-03-13T03:45", datetime(2022, 3, 13, 7, 30, tzinfo=UTC), 15),
        (NOVEMBER, "2022-11-06T00:50", "2022-11-06T01:10", datetime(2022, 11, 6, 4, 50, tzinfo=UTC), 20),
        (NOVEMBER, "2022-11-06T01:10", "2022-11-06T01:30", datetime(2022, 11, 6, 5, 10, tzinfo=UTC), 20),
        (NOVEMBER, "2022-11-06T01:50", "2022-11-06T01:10", datetime(2022, 11, 6, 5, 50, tzinfo=UTC), 20),
        (NOVEMBER, "2022-11-06T01:50", "2022-11-06T02:10", datetime(2022, 11, 6, 6, 50, tzinfo=UTC), 20),
    ],
    ids=["over the skipped hour", "in the skipped hour", "into the repeated hour", "within its first", "across", "out"],
)
def test_durations_over_a_change_of_clocks(tmp_path, month, pickup, dropoff, picked_up_at, minutes):
    trip = clean(write_month(tmp_path, [stays(pickup, dropoff)], month), month).rows.iloc[0]

    assert (trip["event_at"], trip[TARGET]) == (picked_up_at, minutes)


moments = st.one_of(
    st.none(),
    st.datetimes(datetime(2022, 2, 28, 22), datetime(2022, 4, 1, 2)),
    st.datetimes(datetime(2022, 3, 13), datetime(2022, 3, 13, 5)),
    st.datetimes(),
)
zones = st.one_of(st.none(), st.integers(-2, 300), st.integers(-(2**40), 2**40))


@st.composite
def dirty_rows(draw: st.DrawFn) -> dict[str, Any]:
    begin = draw(moments)
    nearby = st.just(begin + timedelta(minutes=draw(st.integers(-5, 70)))) if begin and begin.year == 2022 else moments
    return {
        "lpep_pickup_datetime": begin,
        "lpep_dropoff_datetime": draw(nearby | moments),
        "PULocationID": draw(zones),
        "DOLocationID": draw(zones),
        "passenger_count": draw(st.none() | st.integers(-1, 12)),
        "trip_distance": draw(st.none() | st.floats(-1, 120) | st.floats()),
    }


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(dirty_rows(), max_size=30))
def test_every_row_is_kept_or_counted_once_and_what_is_kept_obeys_the_contract(tmp_path, dirty):
    path = write_month(tmp_path, [{}, *dirty])

    cleaned = clean(path, MARCH)
    kept = cleaned.rows
    assert len(kept) + sum(cleaned.dropped.values()) == cleaned.rows_read == len(dirty) + 1
    assert set(cleaned.dropped) <= set(REASONS)
    assert trips.DURATION_MINUTES.contains(kept[TARGET].to_numpy()).all()
    assert trips.DISTANCE_MILES.contains(kept["trip_distance"].to_numpy()).all()
    assert trips.LOCATION_ID.contains(kept[["pickup_location_id", "dropoff_location_id"]].to_numpy()).all()
    assert trips.PASSENGER_COUNT.contains(kept["passenger_count"].to_numpy()).all()
    assert kept["event_at"].is_monotonic_increasing
    assert kept["event_at"].between(MARCH.starts_at, MARCH.ends_at, inclusive="left").all()


def test_real_months_keep_what_was_measured_of_them(tlc_dir):
    cleaned = clean(tlc_dir / file_name(Month(2023, 2)), Month(2023, 2))

    assert (len(cleaned.rows), cleaned.rows_read) == (60_788, 64_809)
    assert sum(cleaned.dropped.values()) == 64_809 - 60_788


def test_all_real_months_are_clean_alike(tlc_dir):
    months = DirectorySource(tlc_dir).published()
    cleaned = [clean(tlc_dir / file_name(month), month) for month in months]

    assert len({tuple(c.rows.dtypes.astype(str)) for c in cleaned}) == 1
    assert all(0.90 <= len(c.rows) / c.rows_read <= 0.95 for c in cleaned)
    unreported = [float((c.rows["passenger_count"] == 0).mean()) for c in cleaned]
    assert all(0.05 < share < 0.15 for share in unreported)
