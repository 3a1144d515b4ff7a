"""Arrow from anybody: what is well formed is read as JSON would be, and nothing else gets in."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoops.errors import InputError
from autoops.serving.payloads import arrow
from autoops.serving.payloads.arrow import ArrowReader
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.validation_errors import BrokenStream, InvalidRows, TooManyRows
from tests.arrow_streams import stream, trip_table, watched_memory
from tests.taxi import CONTRACT, MODELS

READER = ArrowReader(MODELS)


def read(table: pa.Table, **options: Any) -> Batch:
    return READER.read(stream(table, **options), max_rows=1000)


def refused(table: pa.Table) -> list[str]:
    with pytest.raises(InvalidRows) as caught:
        read(table)
    return [problem.field for problem in caught.value.listed]


def test_record_batches_come_together_in_order() -> None:
    batch = read(trip_table(700), batch_rows=37)
    assert len(batch) == 700
    assert batch.features["trip_distance"].tolist() == [0.5 + 0.01 * i for i in range(700)]
    assert batch.features["passenger_count"].tolist() == [i % 6 for i in range(700)]
    assert batch.event_at.tolist() == [datetime(2023, 1, 10, 15, 30)] * 700
    assert batch.request_ids is None


def test_what_is_written_is_read() -> None:
    batch = READER.read(arrow.write(trip_table(700)), max_rows=700)
    assert batch.features["trip_distance"].tolist() == [0.5 + 0.01 * i for i in range(700)]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.uint64()], ids=str)
def test_integers_of_any_width_will_do(kind: pa.DataType) -> None:
    batch = read(
        trip_table(passenger_count=pa.array([1, None, 9], kind), dropoff_location_id=pa.array([1, 2, 3], kind))
    )
    assert batch.features["passenger_count"].tolist() == [1, 0, 9]
    assert batch.features["dropoff_location_id"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.int32()], ids=str)
def test_distances_are_numbers_of_any_kind(kind: pa.DataType) -> None:
    distances = pa.array(np.array([1, 2, 3], dtype=kind.to_pandas_dtype()))
    assert read(trip_table(trip_distance=distances)).features["trip_distance"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_texts_have_offsets_of_any_width(kind: pa.DataType) -> None:
    batch = read(
        trip_table(pickup_at=pa.array(["2023-01-10T10:30:00"] * 3, kind), request_id=pa.array(["a", None, "c"], kind))
    )
    assert batch.event_at.tolist() == [datetime(2023, 1, 10, 15, 30)] * 3
    assert batch.request_ids == ["a", None, "c"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_timestamp_without_a_zone_is_new_yorks(unit: str) -> None:
    clocks = [datetime(2023, 11, 5, 1, 30), None, datetime(2023, 3, 12, 2, 30)]
    local = read(trip_table(pickup_at=pa.array(clocks, pa.timestamp(unit))))
    utc = read(trip_table(pickup_at=pa.array(clocks, pa.timestamp(unit, "Asia/Tokyo"))))
    assert local.event_at.tolist() == [datetime(2023, 11, 5, 5, 30), None, datetime(2023, 3, 12, 7, 30)]
    assert utc.event_at.tolist() == clocks


def test_what_is_optional_may_be_left_out_or_be_nothing_but_nulls() -> None:
    without = read(trip_table(pickup_at=None, passenger_count=None))
    nulls = read(trip_table(pickup_at=pa.nulls(3), passenger_count=pa.nulls(3), request_id=pa.nulls(3, pa.string())))
    for batch in (without, nulls):
        assert np.isnat(batch.event_at).all()
        assert batch.features["passenger_count"].tolist() == [0, 0, 0]
        assert batch.request_ids is None


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("trip_distance", [0.0, 1e-9, 99.99, 100.0, float("nan"), float("inf"), -1.0]),
        ("passenger_count", [-1, 0, 9, 10, 2**63 - 1, -(2**63)]),
        ("pickup_location_id", [0, 1, 265, 266, 65537, 2**62]),
        ("dropoff_location_id", [0, 1, 265, 266, -65535]),
    ],
)
def test_bounds_are_those_of_the_contract(column: str, values: list[float]) -> None:
    bounds = CONTRACT.features[column]
    outside = [f"{column}.{i}" for i, value in enumerate(values) if not bounds.contains(np.array([value]))[0]]
    assert 0 < len(outside) < len(values)
    assert refused(trip_table(len(values), **{column: pa.array(values)})) == outside


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        ({"trip_distance": None}, ["trip_distance"]),
        ({"colour": pa.array(["a", "b", "c"])}, ["colour"]),
        ({"trip_distance": pa.array(["1", "2", "3"])}, ["trip_distance"]),
        ({"trip_distance": pa.array([True, False, True])}, ["trip_distance"]),
        ({"passenger_count": pa.array([1.0, 2.5, None])}, ["passenger_count.1"]),
        ({"pickup_location_id": pa.array([1, 2, 3]).dictionary_encode()}, ["pickup_location_id"]),
        ({"request_id": pa.array(["a", "b", "a"]).dictionary_encode()}, ["request_id"]),
        ({"trip_distance": pa.array([[1.0], [2.0], [3.0]])}, ["trip_distance"]),
        ({"pickup_at": pa.array([19000, 19001, 19002], pa.date32())}, ["pickup_at"]),
        ({"trip_distance": pa.nulls(3)}, ["trip_distance"]),
        ({"dropoff_location_id": pa.array([1, None, 3])}, ["dropoff_location_id.1"]),
        ({"pickup_at": pa.array(["yesterday", None, "2023-01-10"])}, ["pickup_at.0", "pickup_at.2"]),
        ({"pickup_at": pa.array([0, 2**62, None], pa.timestamp("s"))}, ["pickup_at.0", "pickup_at.1"]),
        ({"request_id": pa.array(["", "x" * 201, "nul\x00"])}, ["request_id.0", "request_id.1", "request_id.2"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_named_by_column_and_row(columns: dict[str, Any], fields: list[str]) -> None:
    assert refused(trip_table(**columns)) == fields


def test_a_column_that_is_there_twice_is_refused() -> None:
    table = trip_table()
    twice = table.append_column("trip_distance", table["trip_distance"])
    assert refused(twice) == ["trip_distance"]


def test_of_many_mistakes_the_first_are_listed_and_all_are_counted() -> None:
    with pytest.raises(InvalidRows, match=r"and 999 more") as caught:
        read(trip_table(1000, trip_distance=pa.array([0.0] * 1000)))
    assert [problem.field for problem in caught.value.listed] == [f"trip_distance.{i}" for i in range(20)]


def test_no_more_rows_than_allowed() -> None:
    table = trip_table(10)
    assert len(READER.read(stream(table, batch_rows=3), max_rows=10)) == 10
    for batch_rows in (3, 10):
        with pytest.raises(TooManyRows):
            READER.read(stream(table, batch_rows=batch_rows), max_rows=9)
    with pytest.raises(InvalidRows, match="at least one"):
        read(trip_table(0))


def test_batches_without_rows_do_not_go_on_for_ever() -> None:
    empty = trip_table(0)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, empty.schema) as writer:
        for _ in range(12):
            writer.write_batch(pa.RecordBatch.from_pylist([], schema=empty.schema))
    with pytest.raises(TooManyRows):
        READER.read(bytes(sink.getvalue()), max_rows=10)


def _bomb(**options: Any) -> bytes:
    """A hundred megabytes in a hundred kilobytes."""
    table = trip_table(1, request_id=pa.array(["x" * 100_000_000]))
    return stream(table, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zstd"},
        {"compression": "lz4"},
        {"compression": "zstd", "metadata_version": pa.ipc.MetadataVersion.V4},
    ],
    ids=["zstd", "lz4", "old metadata"],
)
def test_compressed_buffers_are_refused_before_they_grow(options: dict[str, Any]) -> None:
    body = _bomb(**options)
    assert len(body) < 1_000_000
    with watched_memory() as pool, pytest.raises(InputError):
        READER.read(body, max_rows=10)
    assert pool.max_memory() < 1_000_000
    with pytest.raises(BrokenStream, match="compressed"):
        READER.read(body, max_rows=10)


def test_compression_as_it_was_said_before_arrow_1_is_refused() -> None:
    table = trip_table()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_batch(table.to_batches()[0], custom_metadata={"ARROW:experimental_compression": "zstd"})
    with pytest.raises(BrokenStream, match="compressed"):
        READER.read(bytes(sink.getvalue()), max_rows=10)


def _dictionary_bomb() -> bytes:
    """Ten thousand times one long string."""
    indices = pa.array([0] * 10_000, pa.int8())
    return stream(trip_table(10_000, request_id=pa.DictionaryArray.from_arrays(indices, ["x" * 100_000])))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (lambda: b"", BrokenStream),
        (lambda: b"\x00" * 64, BrokenStream),
        (lambda: b"\xff" * 64, BrokenStream),
        (lambda: b'{"trips": []}', BrokenStream),
        (lambda: b"ARROW1\x00\x00" + stream(trip_table()), BrokenStream),
        (lambda: stream(trip_table()) * 2, BrokenStream),
        (lambda: stream(trip_table()) + b"more", BrokenStream),
        (lambda: b"\xff\xff\xff\xff\xff\xff\xff\x7f" + stream(trip_table())[8:], BrokenStream),
        (_dictionary_bomb, InvalidRows),
    ],
    ids=["empty", "zeros", "ones", "JSON", "a file", "two streams", "a tail", "a huge length", "a dictionary"],
)
def test_what_is_no_stream_is_refused(body: Callable[[], bytes], error: type[InputError]) -> None:
    with pytest.raises(error):
        READER.read(body(), max_rows=10_000)


WHOLE = stream(
    trip_table(
        40,
        pickup_at=pa.array([datetime(2023, 1, 10, 10, 30)] * 40, pa.timestamp("us")),
        request_id=pa.array([f"ride-{i}" if i % 3 else None for i in range(40)]),
    ),
    batch_rows=15,
)


def take_or_refuse(body: bytes) -> None:
    """Every InputError has a status of 4xx; anything else is a defect."""
    try:
        batch = READER.read(body, max_rows=1000)
    except InputError:
        return
    assert 0 < len(batch) <= 1000
    for name in ("trip_distance", "pickup_location_id"):
        assert CONTRACT.features[name].contains(batch.features[name]).all()


def test_a_stream_that_was_cut_off_is_refused_or_ends_with_a_batch() -> None:
    for length in range(0, len(WHOLE), 3):
        take_or_refuse(WHOLE[:length])


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_no_mutation_of_a_stream_does_more_than_be_refused(changes: list[tuple[int, int]]) -> None:
    body = bytearray(WHOLE)
    for position, value in changes:
        body[position] = value
    take_or_refuse(bytes(body))


def test_every_length_and_offset_may_lie() -> None:
    """Each aligned word of the stream in turn becomes huge, negative or one more."""
    for position in range(0, len(WHOLE) - 8, 4):
        for lie in (b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x01\x00\x00\x00"):
            body = bytearray(WHOLE)
            body[position : position + len(lie)] = lie
            take_or_refuse(bytes(body))
