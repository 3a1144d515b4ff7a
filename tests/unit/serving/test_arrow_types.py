"""Whatever type a column has, its values are read as they are, or the column is refused by name."""

import re
import struct
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoops.months import Month
from autoops.serving.offline.parquet import FileScorer, Scored
from autoops.serving.payloads.arrow import ArrowReader
from autoops.serving.payloads.arrow_columns import ArrowColumns
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.validation_errors import BrokenStream, InvalidRows
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import write_sample
from autoops.usecases.taxi.trips import NEW_YORK
from tests.arrow_streams import stream, trip_table
from tests.taxi import CONTRACT, MODELS

READER = ArrowReader(MODELS)

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [pa.decimal32(5, 1), pa.decimal64(9, 2), pa.decimal128(20, 3), pa.decimal256(50, 4)]
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
ENCODED = [pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string())]
ZONES = [None, "UTC", "America/New_York", "+05:30"]
TIMESTAMPS = [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in ZONES]
OTHERS = [
    pa.bool_(),
    pa.date32(),
    pa.date64(),
    pa.time32("s"),
    pa.time64("us"),
    pa.duration("us"),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.binary(3),
    pa.list_(pa.int64()),
    pa.struct([("a", pa.int64())]),
    pa.map_(pa.string(), pa.int64()),
    pa.dictionary(pa.int8(), pa.int64()),
    pa.run_end_encoded(pa.int32(), pa.int64()),
]
TYPES = [*INTEGERS, *FLOATS, *DECIMALS, *TEXTS, *ENCODED, *TIMESTAMPS, *OTHERS]

CLOCK = datetime(2023, 6, 1, 9, 30)
EXPECTED: dict[str, Any] = {
    "pickup_at": np.datetime64("2023-06-01T09:30:00", "us"),
    "trip_distance": 2.5,
    "passenger_count": 3,
    "pickup_location_id": 74,
    "dropoff_location_id": 41,
}


class Kept:
    """Predicts nothing, and keeps what it was asked."""

    def predict(self, batch: Batch) -> tuple[Any, Any]:
        self.batch = batch
        return np.zeros(len(batch)), np.ones(len(batch), dtype=np.int32)


def from_stream(table: pa.Table, _folder: Path) -> Batch:
    return READER.read(stream(table), 100)


def from_file(table: pa.Table, folder: Path) -> Batch:
    model = Kept()
    pq.write_table(table, folder / "in.parquet")
    FileScorer(CONTRACT).score(folder / "in.parquet", folder / "out.parquet", model, 100, lambda _done, _total: None)
    return model.batch


def values_of(name: str, kind: pa.DataType) -> pa.Array | None:
    """The expected value and a null as this type, where it can hold them."""
    if name in ("pickup_at", "request_id"):
        value: Any = "2023-06-01T09:30:00Z" if name == "pickup_at" else "ride-1"
        if pa.types.is_timestamp(kind) and name == "pickup_at":
            value = CLOCK.replace(tzinfo=UTC) if kind.tz else CLOCK - timedelta(hours=4)
    else:
        whole = name != "trip_distance" or pa.types.is_integer(kind)
        value = int(EXPECTED[name]) if whole else EXPECTED[name]
        if pa.types.is_decimal(kind):
            value = Decimal(str(value))
        elif kind == pa.float16():
            return pa.array(np.array([value, np.nan], dtype=np.float16), mask=np.array([False, True]))
    if pa.types.is_dictionary(kind):
        plain = values_of(name, kind.value_type)
        return None if plain is None else plain.dictionary_encode().cast(kind)
    try:
        return pa.array([value, None], kind)
    except (pa.ArrowException, TypeError, ValueError):
        return filled(kind)


def filled(kind: pa.DataType) -> pa.Array | None:
    """Any values of a type that cannot hold the expected one."""
    for value in (1, True, b"abc", date(2023, 6, 1), [1], {"a": 1}, [("a", 1)]):
        try:
            return pa.array([value, None], kind)
        except (pa.ArrowException, TypeError, ValueError, AttributeError):
            continue
    return pa.array([1, None]).dictionary_encode() if pa.types.is_dictionary(kind) else None


def table_of(name: str, values: pa.Array) -> pa.Table:
    """Without the null where there must be a value."""
    optional = name in ("passenger_count", "request_id")
    values = values if optional else values.slice(0, 1)
    usual: dict[str, Any] = {"pickup_at": [CLOCK.replace(tzinfo=UTC)]} | {
        column: [value] for column, value in EXPECTED.items() if column != "pickup_at"
    }
    return pa.table({column: pa.array(value * len(values)) for column, value in usual.items()} | {name: values})


def fits(name: str, kind: pa.DataType, whole_file: bool) -> bool:
    if name == "request_id":
        return kind in TEXTS or (whole_file and kind in ENCODED)
    if name == "pickup_at":
        return kind in TEXTS or kind in TIMESTAMPS or (whole_file and kind in ENCODED)
    return kind in INTEGERS or kind in FLOATS or kind in DECIMALS


@pytest.mark.parametrize("read", [from_stream, from_file], ids=["stream", "file"])
@pytest.mark.parametrize("name", ArrowColumns(MODELS).columns)
def test_each_type_is_read_to_the_right_value_or_refused_by_name(
    tmp_path: Path, name: str, read: Callable[[pa.Table, Path], Batch]
) -> None:
    for kind in TYPES:
        values = values_of(name, kind)
        if values is None or (read is from_file and not in_parquet(values)):
            continue
        if fits(name, kind, read is from_file):
            check(name, kind, read(table_of(name, values), tmp_path))
        else:
            with pytest.raises(InvalidRows, match=f"^{name}: expected .*, got {re.escape(str(kind)[:5])}"):
                read(table_of(name, values), tmp_path)


def in_parquet(values: pa.Array) -> bool:
    """Whether a file can hold it and gives the same type back."""
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(pa.table({"a": values}), sink)
    except (pa.ArrowException, NotImplementedError):
        return False
    return bool(pq.read_schema(pa.BufferReader(sink.getvalue())).field("a").type == values.type)


def check(name: str, kind: pa.DataType, batch: Batch) -> None:
    for column, expected in EXPECTED.items():
        value = batch.event_at[0] if column == "pickup_at" else batch.features[column][0]
        if column == "trip_distance" and name == column and kind in INTEGERS:
            expected = 2
        assert value == expected, (kind, column, value)
    if name == "request_id":
        assert batch.request_ids == ["ride-1", None], kind
    if name == "passenger_count":
        assert batch.features["passenger_count"].tolist() == [3, 0], kind


def test_a_big_endian_stream_is_refused() -> None:
    """Written by hand, because Arrow writes none on this machine: the schema gets another vtable, at the end of its
    message, in which the field that says so is not left out, and points at a 1 behind it."""
    body = bytearray(stream(trip_table(1)))
    metadata, length = 8, struct.unpack_from("<i", body, 4)[0]
    message = metadata + struct.unpack_from("<I", body, metadata)[0]
    vtable = message - struct.unpack_from("<i", body, message)[0]
    header = message + struct.unpack_from("<H", body, vtable + 8)[0]
    schema = header + struct.unpack_from("<I", body, header)[0]
    end = metadata + length
    body[end:end] = struct.pack("<8H", 8, 8, end + 8 - schema, 4, 1, 0, 0, 0)
    struct.pack_into("<i", body, schema, schema - end)
    struct.pack_into("<i", body, 4, length + 16)
    assert pa.ipc.open_stream(bytes(body)).schema.names == trip_table(1).column_names
    with pytest.raises(BrokenStream, match="big-endian"):
        READER.read(bytes(body), 10)


def test_views_that_stand_for_more_than_they_take_are_refused() -> None:
    table = trip_table(100, request_id=pa.array(["x" * 100_000] * 100, pa.string_view()))
    with pytest.raises(InvalidRows, match="request_id: expected at most 1000 bytes, got 100000"):
        READER.read(stream(table), 1000)


def test_a_name_that_is_too_long_is_cut() -> None:
    with pytest.raises(InvalidRows) as caught:
        READER.read(stream(trip_table(1, **{"a" * 100_000: pa.array([1])})), 10)
    assert len(str(caught.value)) < 200


def test_a_raw_month_is_predicted_where_it_is_within_the_contract(tmp_path: Path) -> None:
    (month,) = write_sample(tmp_path, [Month(2023, 3)], trips_per_month=1000)
    raw, model = pq.read_table(month).to_pandas(), Kept()
    done = FileScorer(CONTRACT).score(month, tmp_path / "out.parquet", model, 10_000, lambda _done, _total: None)
    out = pq.read_table(tmp_path / "out.parquet").to_pandas()
    predicted = out["prediction"].notna().to_numpy()
    fine = raw["trip_distance"].between(0, 100, inclusive="neither") & raw["PULocationID"].between(1, 265)
    fine &= raw["DOLocationID"].between(1, 265) & raw["passenger_count"].fillna(0).between(0, 9)
    fine &= raw["lpep_pickup_datetime"].dt.year >= 2009
    assert done == Scored(len(raw), (1,), done.skipped)
    assert 0 < predicted.sum() < len(raw)
    assert predicted.tolist() == fine.tolist()
    assert sum(done.skipped.values()) >= (~fine).sum()
    assert out.loc[predicted, "model_version"].eq(1).all()
    local = raw.loc[fine, "lpep_pickup_datetime"].iloc[0].to_pydatetime().replace(tzinfo=NEW_YORK)
    assert model.batch.event_at[0].astype(datetime) == local.astimezone(UTC).replace(tzinfo=None)
    kept = clean(month, Month(2023, 3)).rows
    times = kept["event_at"].dt.tz_convert(None).to_numpy("datetime64[us]")
    ingested = zip(times.tolist(), *(kept[name].tolist() for name in CONTRACT.features), strict=True)
    features = (values.tolist() for values in model.batch.features.values())
    assert not Counter(ingested) - Counter(zip(model.batch.event_at.tolist(), *features, strict=True))
