"""Whatever a month's file holds, it is cleaned or refused with a DataError that names the file, and the column if there
is one to blame; a clean month that was damaged on this disk is not ingested any more, or said to be damaged."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from autoops.errors import CorruptFile, DataError, NotFound, SchemaError
from autoops.ingestion.source import DirectorySource, file_name
from autoops.ingestion.store import MonthStore
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi import trips
from autoops.usecases.taxi.clean import NUMBERS, TIMES, clean
from tests.fuzz.attempts import attempt
from tests.fuzz.strategies import mutations, odd_tables
from tests.unit.ingestion.raw import MARCH, raw_table, write_month

fuzzed = hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAME = file_name(MARCH)
ROWS = [{"lpep_dropoff_datetime": f"2022-03-15T12:{minute}:00", "PULocationID": minute} for minute in range(10, 50)]


def encoded(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=15)
    return bytes(sink.getvalue())


def clean_or_refuse(path: Path) -> str:
    cleaned, refusal = attempt(lambda: clean(path, MARCH), DataError)
    if cleaned is None:
        assert NAME in str(refusal)
        if isinstance(refusal, SchemaError):
            assert any(f"column {name}" in str(refusal) for name in (*TIMES, *NUMBERS, "payment_type"))
        return str(refusal)
    assert trips.LOCATION_ID.contains(cleaned.rows[["pickup_location_id", "dropoff_location_id"]].to_numpy()).all()
    assert trips.DURATION_MINUTES.contains(cleaned.rows[TARGET].to_numpy()).all()
    return ""


@fuzzed
@given(mutations(encoded(raw_table(ROWS))))
def test_a_mutated_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    clean_or_refuse(tmp_path / NAME)


@fuzzed
@given(odd_tables(raw_table(ROWS[:4]).append_column("payment_type", pa.array([1.0, 2.0, None, 1.0]))))
def test_columns_of_any_type(tmp_path: Path, table: pa.Table) -> None:
    (tmp_path / NAME).write_bytes(encoded(table))
    clean_or_refuse(tmp_path / NAME)


def test_a_zone_that_is_infinite_is_an_unknown_one(tmp_path: Path) -> None:
    table = raw_table([{}, {}])
    zones = pa.array([74.0, float("inf")])
    pq.write_table(
        table.set_column(table.schema.get_field_index("PULocationID"), "PULocationID", zones), tmp_path / NAME
    )
    assert clean(tmp_path / NAME, MARCH).dropped == {"unknown_zone": 1}


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    table = raw_table([{}])
    pq.write_table(table.append_column("PULocationID", table["PULocationID"]), tmp_path / NAME)
    assert clean_or_refuse(tmp_path / NAME) == f"{NAME}: column PULocationID is there 2 times"


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    home = tmp_path_factory.mktemp("months")
    write_month(home / "source", ROWS)
    return MonthStore(home / "store", clean).ingest(DirectorySource(home / "source"), MARCH).path.read_bytes()


@fuzzed
@given(st.data())
def test_a_clean_month_that_was_damaged(tmp_path: Path, ingested: bytes, data: st.DataObject) -> None:
    (tmp_path / f"{MARCH}.parquet").write_bytes(data.draw(mutations(ingested)))
    loaded, refusal = attempt(lambda: MonthStore(tmp_path, clean).load([MARCH]), NotFound, CorruptFile)
    assert loaded is not None or str(MARCH) in str(refusal)


def test_a_value_that_changed_on_this_disk_is_noticed(tmp_path: Path, ingested: bytes) -> None:
    path = tmp_path / f"{MARCH}.parquet"
    path.write_bytes(ingested)
    column = pq.read_metadata(path).row_group(0).column(1)
    begin = column.dictionary_page_offset or column.data_page_offset
    changed = bytearray(ingested)
    changed[begin + column.total_compressed_size - 1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(CorruptFile, match="autoops ingest --refetch --months 2022-03"):
        MonthStore(tmp_path, clean).load([MARCH])


@pytest.mark.parametrize(
    "known", [b"[]", b"{}", b'{"cleaning": 2}', b'{"cleaning": 2, "stamp": [], "profile": 1}', b"5"]
)
def test_a_month_whose_facts_are_none_is_not_ingested(tmp_path: Path, known: bytes) -> None:
    table = raw_table([{}]).replace_schema_metadata({b"autoops": known})
    pq.write_table(table, tmp_path / f"{MARCH}.parquet")
    assert MonthStore(tmp_path, clean).get(MARCH) is None
