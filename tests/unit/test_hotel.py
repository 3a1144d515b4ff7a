"""The hotel's declaration, its day of arrival and its made-up bookings, without the real ones."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoops.errors import InputError
from autoops.ingestion import declared
from autoops.months import Month
from autoops.usecase import declaration
from autoops.usecase.columns import TARGET
from autoops.usecases.hotel.prepare import prepare
from autoops.usecases.hotel.sample import bookings, write_sample

HOTEL = declaration.load("hotel")
LEAKS = {
    *("reservation_status", "reservation_status_date", "assigned_room_type", "booking_changes", "deposit_type"),
    *("required_car_parking_spaces", "days_in_waiting_list"),
}
MAY, JUNE = Month(2031, 5), Month(2031, 6)


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
    (first, other), again = write_sample(tmp_path, [MAY, JUNE]), write_sample(tmp_path / "again", [JUNE])
    assert other.read_bytes() == again[0].read_bytes()
    assert other.read_bytes() != write_sample(tmp_path / "seed", [JUNE], seed=8)[0].read_bytes()
    found = declared.clean(HOTEL, first, MAY)
    assert found.rows_read == len(found.rows) == pq.ParquetFile(first).metadata.num_rows
    assert 0.2 < found.rows[TARGET].mean() < 0.6


@pytest.mark.parametrize(
    ("scenario", "magnitude", "column", "low"), [("mix", 0.5, "lead_time", 1.3), ("unit", 100, "adr", 90)]
)
def test_a_scenario_changes_what_it_says(scenario: str, magnitude: float, column: str, low: float) -> None:
    steady, changed = bookings(MAY, 4_000).to_pandas(), bookings(MAY, 4_000, 7, scenario, magnitude).to_pandas()
    assert changed[column].mean() / steady[column].mean() > low


def test_a_change_of_cancellations_begins_in_its_month(tmp_path: Path) -> None:
    world = {"scenario": "cancel", "changes_from": JUNE, "magnitude": 4}
    write_sample(tmp_path / "changed", [MAY, JUNE], **world)
    write_sample(tmp_path / "steady", [MAY, JUNE])
    may, june = (
        [pd.read_parquet(tmp_path / kind / f"hotel_bookings_{month}.parquet") for kind in ("changed", "steady")]
        for month in (MAY, JUNE)
    )
    assert may[0].equals(may[1])
    changed, steady = (frame.groupby(frame["lead_time"] > 30)["is_canceled"].mean() for frame in june)
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
