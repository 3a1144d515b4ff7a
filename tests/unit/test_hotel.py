"""The hotel's declaration, its day of arrival and its made-up bookings, without the real ones."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoops.errors import InputError, SchemaError
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.months import Month
from autoops.replay.itinerary import publish
from autoops.settings import Data
from autoops.usecase import declaration
from autoops.usecase.columns import TARGET
from autoops.usecases.hotel.prepare import prepare
from autoops.usecases.hotel.sample import bookings, write_sample

HOTEL = declaration.load("hotel")
LEAKS = {
    *("reservation_status", "reservation_status_date", "assigned_room_type", "booking_changes", "deposit_type"),
    *("required_car_parking_spaces", "days_in_waiting_list"),
}
MAY, JUNE = Month(2022, 5), Month(2022, 6)


def test_nothing_that_leaks_the_label_is_a_feature() -> None:
    assert not LEAKS & {*HOTEL.features}
    assert len((Path(declaration.__file__).parents[1] / "usecases/hotel/usecase.yaml").read_text().splitlines()) <= 60


def test_the_day_of_arrival_is_made_of_its_parts() -> None:
    table = pa.table(
        {
            "arrival_date_year": [2016, 2016, 2017, None],
            "arrival_date_month": ["February", "April", "Brumaire", "May"],
            "arrival_date_day_of_month": [29, 31, 1, 1],
        }
    )
    prepared = prepare(table)
    assert prepared["arrival"].to_pylist() == [datetime(2016, 2, 29), None, None, None]
    assert prepare(prepared) == prepared


def test_made_up_bookings_are_those_of_their_seed_and_pass_the_declaration(tmp_path: Path) -> None:
    (table,), (again,) = write_sample(tmp_path, [MAY, JUNE]), write_sample(tmp_path / "again", [JUNE])
    assert pq.read_table(again).equals(bookings(JUNE, 4_000))
    assert not pq.read_table(again).equals(bookings(JUNE, 4_000, seed=8))
    source = open_source(Data(source=str(tmp_path)), HOTEL)
    assert source.published() == [MAY, JUNE]
    store = MonthStore(tmp_path / "months", cleaner_of(HOTEL))
    read = [store.ingest(source, month) for month in (MAY, JUNE)]
    assert sum(month.rows_read for month in read) == pq.ParquetFile(table).metadata.num_rows
    assert [month.kept_share for month in read] == [1, 1]
    assert 0.2 < store.load([MAY])[TARGET].mean() < 0.6
    with pytest.raises(InputError, match="there already"):
        write_sample(tmp_path, [MAY])


@pytest.mark.parametrize(
    ("scenario", "magnitude", "column", "low"), [("mix", 0.5, "lead_time", 1.3), ("unit", 100, "adr", 90)]
)
def test_a_scenario_changes_what_it_says(scenario: str, magnitude: float, column: str, low: float) -> None:
    steady, changed = bookings(MAY, 4_000).to_pandas(), bookings(MAY, 4_000, 7, scenario, magnitude).to_pandas()
    assert changed[column].mean() / steady[column].mean() > low


def test_a_change_of_cancellations_begins_in_its_month(tmp_path: Path) -> None:
    (path,) = write_sample(tmp_path, [MAY, JUNE], scenario="cancel", changes_from=JUNE, magnitude=4)
    written = pq.read_table(path).to_pandas()
    months = [written[written["arrival_date_month"] == name].reset_index(drop=True) for name in ("May", "June")]
    steady_may, june = bookings(MAY, 4_000).to_pandas(), bookings(JUNE, 4_000).to_pandas()
    assert months[0].equals(steady_may)
    changed, steady = (frame.groupby(frame["lead_time"] > 30)["is_canceled"].mean() for frame in (months[1], june))
    assert changed[False] > steady[False] + 0.15
    assert changed[True] < steady[True] - 0.15


def test_what_cannot_be_made_up_is_refused(tmp_path: Path) -> None:
    for world, told in (
        ({"scenario": "storm"}, "steady, cancel"),
        ({"scenario": "mix", "magnitude": 2}, "expected 0 to 1, got 2"),
        ({"rows_per_month": 3}, "at least 100"),
    ):
        with pytest.raises(InputError, match=told):
            write_sample(tmp_path, [MAY], **world)


def test_months_are_published_into_one_table_each_once(tmp_path: Path) -> None:
    write_sample(tmp_path / "world", [MAY, JUNE], rows_per_month=200)
    world, published = open_source(Data(source=str(tmp_path / "world")), HOTEL), tmp_path / "published"
    for month in (MAY, JUNE, MAY):
        raw = tmp_path / world.file_name(month)
        world.fetch(month, raw)
        publish(raw, month, published, HOTEL)
    assert [path.name for path in published.iterdir()] == [HOTEL.source.files]
    out = open_source(Data(source=str(published)), HOTEL)
    assert [out.metadata(month).etag for month in out.published()] == [world.metadata(m).etag for m in (MAY, JUNE)]
    with pytest.raises(SchemaError, match="no replay has made this file"):
        publish(raw, MAY, tmp_path / "world", HOTEL)
