import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from autoops.errors import CorruptFile, EmptyMonth, NotFound
from autoops.ingestion.source import DirectorySource, Progress, SourceMetadata, file_name
from autoops.ingestion.store import MonthStore
from autoops.months import Month, parse_months
from autoops.usecases.taxi.clean import clean
from tests.unit.ingestion.raw import MARCH, write_month

APRIL = Month(2022, 4)
APRIL_TRIP = {"lpep_pickup_datetime": "2022-04-02T08:00:00", "lpep_dropoff_datetime": "2022-04-02T08:20:00"}


class CountingSource(DirectorySource):
    """Counts what is fetched of it."""

    fetched = 0

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        self.fetched += 1
        return super().fetch(month, target, progress)


@pytest.fixture
def source(tmp_path: Path) -> CountingSource:
    write_month(tmp_path / "source", [{}, {}, {"trip_distance": 0.0}])
    write_month(tmp_path / "source", [APRIL_TRIP], APRIL)
    return CountingSource(tmp_path / "source")


@pytest.fixture
def store(tmp_path: Path) -> MonthStore:
    return MonthStore(tmp_path / "months", clean)


def republish(tmp_path: Path, rows: list[dict]) -> None:
    path = write_month(tmp_path / "source", rows)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))


def test_an_ingested_month_tells_what_was_kept_and_what_was_dropped(source, store, tmp_path):
    month = store.ingest(source, MARCH)

    assert (month.month, month.rows, month.rows_read, month.dropped) == (MARCH, 2, 3, {"no_distance": 1})
    assert month.kept_share == pytest.approx(2 / 3)
    assert (month.status, month.metadata) == ("ingested", source.metadata(MARCH))
    assert month.path == tmp_path / "months" / "2022-03.parquet"
    assert len(month.digest) == 64
    assert [path.name for path in (tmp_path / "months").iterdir()] == ["2022-03.parquet"]


def test_ingesting_again_fetches_nothing_and_changes_nothing(source, store):
    first = store.ingest(source, MARCH)
    content = first.path.read_bytes()
    again = store.ingest(source, MARCH)

    assert (again.status, again.digest, source.fetched) == ("unchanged", first.digest, 1)
    assert first.path.read_bytes() == content


def test_refetch_asks_the_source_all_the_same(source, store):
    store.ingest(source, MARCH)

    assert (store.ingest(source, MARCH, refetch=True).status, source.fetched) == ("unchanged", 2)


def test_a_republished_month_is_noticed_and_ingested(source, store, tmp_path):
    first = store.ingest(source, MARCH)
    republish(tmp_path, [{}] * 5)
    second = store.ingest(source, MARCH)

    assert (second.status, second.rows) == ("republished", 5)
    assert second.digest != first.digest
    assert len(store.load([MARCH])) == 5
    assert store.ingest(source, MARCH).status == "unchanged"


def test_a_file_published_again_as_it_was_is_no_republication(source, store, tmp_path):
    first = store.ingest(source, MARCH)
    republish(tmp_path, [{}, {}, {"trip_distance": 0.0}])
    second = store.ingest(source, MARCH)

    assert (second.status, second.digest, source.fetched) == ("unchanged", first.digest, 2)
    assert second.metadata == source.metadata(MARCH)


@pytest.mark.parametrize("rows", [[{"trip_distance": 0.0}], None])
def test_a_republication_that_cannot_be_used_leaves_the_month_as_it_was(source, store, tmp_path, rows):
    before = store.ingest(source, MARCH)
    if rows:
        republish(tmp_path, rows)
    else:
        (tmp_path / "source" / file_name(MARCH)).write_text("half a fi")

    with pytest.raises((EmptyMonth, CorruptFile), match="green_tripdata_2022-03"):
        store.ingest(source, MARCH)
    assert store.get(MARCH) == replace(before, status="unchanged")
    assert [path.name for path in (tmp_path / "months").iterdir()] == ["2022-03.parquet"]


def test_a_source_that_is_away_does_not_take_back_a_month_that_is_here(source, store, tmp_path):
    store.ingest(source, MARCH)
    (tmp_path / "source" / file_name(MARCH)).unlink()
    assert store.ingest(source, MARCH).status == "unchanged"

    (tmp_path / "source").rename(tmp_path / "gone")
    assert store.ingest(source, MARCH).status == "unchanged"


def test_months_and_get_know_what_is_here(source, store):
    assert (store.months(), store.get(MARCH)) == ([], None)
    for month in (APRIL, MARCH):
        store.ingest(source, month)

    assert [month.month for month in store.months()] == [MARCH, APRIL]
    assert MonthStore(store.get(MARCH).path.parent, clean).get(APRIL) == store.get(APRIL)


def test_a_file_that_is_named_as_no_month_is_left_alone(source, store, tmp_path):
    month = store.ingest(source, MARCH)
    (month.path.parent / "2023-13.parquet").write_bytes(month.path.read_bytes())
    assert [one.month for one in store.months()] == [MARCH]


def test_load_joins_months_in_order_of_time_as_cleaning_left_them(source, store, tmp_path):
    for month in (APRIL, MARCH):
        store.ingest(source, month)

    loaded = store.load([APRIL, MARCH, APRIL])

    parts = [clean(tmp_path / "source" / file_name(month), month).rows for month in (MARCH, APRIL)]
    assert loaded.equals(pd.concat(parts, ignore_index=True))
    assert loaded["event_at"].is_monotonic_increasing


def test_load_names_the_months_that_are_not_ingested(source, store):
    store.ingest(source, MARCH)

    with pytest.raises(NotFound, match="not ingested: 2022-04, 2022-05"):
        store.load(parse_months("2022-03..2022-05"))
    with pytest.raises(NotFound, match="no month was named"):
        store.load([])


def test_a_stored_file_that_broke_counts_as_not_ingested_and_is_fetched_again(source, store):
    path = store.ingest(source, MARCH).path
    path.write_bytes(path.read_bytes()[:100])

    assert (store.get(MARCH), store.months()) == (None, [])
    assert (store.ingest(source, MARCH).status, source.fetched) == ("ingested", 2)


def test_a_parquet_file_that_the_store_did_not_write_is_no_ingested_month(store, tmp_path):
    write_month(tmp_path / "months", [{}]).rename(tmp_path / "months" / "2022-03.parquet")

    assert store.get(MARCH) is None


def test_months_cleaned_by_older_rules_are_cleaned_again(source, store):
    path = store.ingest(source, MARCH).path
    table = pq.read_table(path)
    facts = json.loads(table.schema.metadata[b"autoops"])
    older = json.dumps(facts | {"cleaning": facts["cleaning"] - 1})
    pq.write_table(table.replace_schema_metadata({"autoops": older}), path)

    assert store.get(MARCH) is None
    assert (store.ingest(source, MARCH).rows, source.fetched) == (2, 2)


def test_the_digest_is_of_the_values_and_not_of_the_file(source, store, tmp_path):
    digest = store.ingest(source, MARCH).digest
    republish(tmp_path, [{"trip_distance": 0.0}, {}, {}, {"PULocationID": 0}])
    same = store.ingest(source, MARCH)
    republish(tmp_path, [{}, {"trip_distance": 2.51}])
    other = store.ingest(source, MARCH)

    assert (same.digest, same.status) == (digest, "republished")
    assert other.digest != digest


def test_the_content_is_of_the_raw_rows_and_comes_back_with_the_month(source, store, tmp_path):
    first = store.ingest(source, MARCH)
    republish(tmp_path, [{}, {}, {"trip_distance": 0.0}, {"trip_distance": 0.0}])
    more_dropped = store.ingest(source, MARCH)
    republish(tmp_path, [{}, {"passenger_count": None}])
    hidden = store.ingest(source, MARCH)
    republish(tmp_path, [{}, {"passenger_count": 0}])
    same_rows = store.ingest(source, MARCH)

    assert (first.digest, first.profile.rows, more_dropped.profile.rows) == (more_dropped.digest, 3, 4)
    assert len({first.content, more_dropped.content, hidden.content}) == 3
    assert same_rows.content == hidden.content == MonthStore(first.path.parent, clean).get(MARCH).content
    assert same_rows.status == "unchanged"


def test_the_same_month_ingested_at_once_by_many_is_whole(source, store, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        months = list(pool.map(lambda _: store.ingest(source, MARCH, refetch=True), range(24)))

    assert {(month.rows, month.digest) for month in months} == {(2, store.get(MARCH).digest)}
    assert [path.name for path in (tmp_path / "months").iterdir()] == ["2022-03.parquet"]


def test_real_months_join_into_one_frame(tlc_dir, store):
    months = parse_months("2023-01..2023-02")
    done = [store.ingest(DirectorySource(tlc_dir), month) for month in months]

    trips = store.load(months)
    assert len(trips) == sum(month.rows for month in done) == 63_762 + 60_788
    assert trips["event_at"].is_monotonic_increasing
    assert not trips.isna().any().any()
