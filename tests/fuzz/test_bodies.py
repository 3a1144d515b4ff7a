"""Whatever a client sends as a body or in a header is taken within the contract, or refused by what becomes a 4xx."""

import json
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from autoops.errors import InputError
from autoops.serving.payloads.accept import preferred
from autoops.serving.payloads.batch import Batch, of_rows
from autoops.serving.payloads.batch_bodies import MEDIA_TYPES, BodyReader, kinds_of
from autoops.serving.payloads.bodies import JSON, parse_json
from autoops.serving.payloads.label_bodies import LabelReader
from autoops.serving.payloads.validation_errors import BrokenStream, InvalidRows
from autoops.storage.predictions import Label
from tests.arrow_streams import stream, trip_table
from tests.fuzz.attempts import attempt
from tests.fuzz.strategies import anything, mutations, odd_tables, replaced
from tests.integration.serving import conftest as serving
from tests.taxi import CONTRACT, MODELS, GroundTruth, GroundTruthBatch, Trip, TripBatch

fuzzed = hypothesis_settings(max_examples=150)
TRIP = serving.TRIP | {"request_id": "ride-1"}
read, read_labels = BodyReader(MODELS).read, LabelReader(MODELS).read
COLUMNS = {name: [value] for name, value in TRIP.items()}
LABEL = {"prediction_id": "01890000-0000-7000-8000-000000000000", "trip_duration_minutes": 12.5}


def bodies(content: st.SearchStrategy[Any], whole: object) -> st.SearchStrategy[bytes]:
    """JSON of this content, and bytes that are nearly the whole's."""
    return content.map(lambda value: json.dumps(value).encode()) | mutations(json.dumps(whole).encode())


def take_or_refuse(parse: Callable[[], Any]) -> Any:
    """None where it is refused."""
    return attempt(parse, RequestValidationError, InputError)[0]


def check(batch: Batch | None) -> None:
    if batch is not None:
        assert [*batch.features] == [*CONTRACT.features]
        for name, feature in CONTRACT.features.items():
            assert feature.contains(batch.features[name]).all()
        assert len({len(values) for values in batch.columns().values()}) == 1


@fuzzed
@given(bodies(replaced(TRIP) | anything, TRIP))
def test_a_trip(body: bytes) -> None:
    trip = take_or_refuse(lambda: parse_json(body, Trip))
    assert trip is None or 0 < trip.trip_distance < 100


@fuzzed
@given(
    bodies(
        st.lists(replaced(TRIP), max_size=3).map(lambda trips: {"trips": trips})
        | replaced(COLUMNS).map(lambda columns: {"columns": columns})
        | replaced({"trips": [TRIP], "columns": COLUMNS}),
        {"columns": COLUMNS},
    )
)
def test_a_batch(body: bytes) -> None:
    taken = take_or_refuse(lambda: read(body, "json", 5))
    check(taken and taken[0])


valid_trips = st.fixed_dictionaries(
    {"trip_distance": st.floats(0.01, 99) | st.integers(1, 99), "pickup_location_id": st.integers(1, 265)},
    optional={
        "passenger_count": st.none() | st.integers(0, 9),
        "pickup_at": st.none() | st.datetimes(datetime(2010, 1, 1), datetime(2098, 1, 1)).map(datetime.isoformat),
        "request_id": st.none() | st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20),
    },
).map(lambda trip: trip | {"dropoff_location_id": 1})


@fuzzed
@given(
    st.lists(valid_trips, min_size=1, max_size=6)
    .map(lambda trips: json.dumps({"trips": trips}).encode())
    .flatmap(lambda body: st.just(body) | mutations(body))
    | bodies(st.lists(replaced(TRIP), max_size=3).map(lambda trips: {"trips": trips}), {"trips": [TRIP]})
)
def test_rows_are_read_as_pydantic_reads_them(body: bytes) -> None:
    slow = take_or_refuse(lambda: parse_json(body, TripBatch))
    taken = take_or_refuse(lambda: read(body, "json", 5))
    if slow is None or len(slow.trips) > 5:
        assert taken is None
    else:
        quick, form = taken
        assert form == "rows"
        expected = of_rows(MODELS, slow.trips)
        for name, values in expected.columns().items():
            assert values.dtype == quick.columns()[name].dtype
            assert np.array_equal(values, quick.columns()[name], equal_nan=True)
        assert expected.request_ids == quick.request_ids


def test_rows_with_fields_of_their_own_take_no_more_memory_than_others() -> None:
    body = json.dumps({"trips": [{f"field-{n}": 1} for n in range(2_000)]}).encode()
    tracemalloc.start()
    try:
        assert take_or_refuse(lambda: read(body, "json", 2_000)) is None
        assert tracemalloc.get_traced_memory()[1] < 100 * len(body)
    finally:
        tracemalloc.stop()


@fuzzed
@given(odd_tables(trip_table(3)).map(stream) | st.binary(max_size=200))
def test_an_arrow_stream_of_any_columns(body: bytes) -> None:
    taken = take_or_refuse(lambda: read(body, "arrow", 5))
    check(taken and taken[0])


@fuzzed
@given(
    bodies(st.lists(replaced(LABEL) | anything, max_size=4).map(lambda labels: {"labels": labels}), {"labels": [LABEL]})
)
def test_ground_truth(body: bytes) -> None:
    batch = take_or_refuse(lambda: parse_json(body, GroundTruthBatch))
    taken = take_or_refuse(lambda: read_labels(body, 5))
    assert (taken is None) == (batch is None)
    if batch is None:
        return
    expected = {position: label_of(item) for position, item in enumerate(batch.labels)}
    assert dict(zip(taken.positions, taken.well_formed, strict=True)) == {n: one for n, one in expected.items() if one}
    assert [refused.position for refused in taken.refused] == [n for n, one in expected.items() if one is None]


def label_of(item: object) -> Label | None:
    try:
        truth: Any = GroundTruth.model_validate(item)
    except ValidationError:
        return None
    return Label(truth.trip_duration_minutes, truth.prediction_id, truth.request_id)


READERS: dict[str, Callable[[bytes], object]] = {
    "trip": lambda body: parse_json(body, Trip),
    "batch": lambda body: read(body, "json", 5),
    "labels": lambda body: read_labels(body, 5),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"labels": ' + b"[" * 100_000, b"\xff", b"9" * 100_000, b"NaN"])
def test_json_that_is_hard_to_read(reader: str, body: bytes) -> None:
    assert take_or_refuse(lambda: READERS[reader](body)) is None


media_ranges = st.sampled_from([*MEDIA_TYPES, "*/*", "application/*", "text/html", ""])
qualities = st.sampled_from(
    ["", ";q=0", ";q=1", ";q=nan", ";q=-inf", ";q=1e999", ";q", "; Q = 0.5 ", ";;", ";q=0.5;q=0"]
)
headers = st.lists(st.tuples(media_ranges, qualities).map("".join)).map(",".join) | st.text(
    st.characters(max_codepoint=255), max_size=40
)


@fuzzed
@given(headers, headers)
def test_what_kind_comes_and_what_kind_is_wanted(content_type: str, accept: str) -> None:
    sent = [(b"content-type", content_type.encode("latin-1")), (b"accept", accept.encode("latin-1"))]
    kinds, refusal = attempt(lambda: kinds_of(Request({"type": "http", "headers": sent})), HTTPException)
    if isinstance(refusal, HTTPException):
        assert refusal.status_code in (406, 415)
    else:
        assert kinds in [(kind, wanted) for kind in MEDIA_TYPES.values() for wanted in MEDIA_TYPES]


def test_what_is_wanted_by_no_number_is_not_wanted() -> None:
    assert preferred(f"{JSON};q=nan, */*;q=0.1", [*MEDIA_TYPES]) == "application/vnd.apache.arrow.stream"


def test_a_time_zone_whose_name_is_no_text_is_refused() -> None:
    body = stream(trip_table(1, pickup_at=pa.array([0], pa.timestamp("us", "UTC"))))
    assert body.count(b"UTC") == 1
    with pytest.raises(BrokenStream):
        read(body.replace(b"UTC", b"\xdd\xddC"), "arrow", 5)


def test_columns_without_a_value_are_refused() -> None:
    with pytest.raises(InvalidRows):
        read(json.dumps({"columns": {name: [] for name in COLUMNS}}).encode(), "json", 5)
