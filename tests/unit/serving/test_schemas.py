import json
import math
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autoops.serving.predict.predictor import RawRows
from autoops.usecase.columns import Columns
from autoops.usecases.taxi.trips import NEW_YORK
from tests.taxi import EARLIEST, LATEST, MODELS, GroundTruth, Trip, TripBatch, hour_of_day

TRIP: dict[str, Any] = {"trip_distance": 2.3, "pickup_location_id": 74, "dropoff_location_id": 41}

distances = st.floats(0, 100, exclude_min=True, exclude_max=True)
zones = st.integers(1, 265)
moments = st.datetimes(
    EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None) - timedelta(microseconds=1), timezones=st.just(UTC)
)
trips = st.fixed_dictionaries(
    {"trip_distance": distances, "pickup_location_id": zones, "dropoff_location_id": zones},
    optional={
        "passenger_count": st.none() | st.integers(0, 9),
        "pickup_at": st.none() | moments.map(datetime.isoformat),
        "request_id": st.none() | st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=200),
    },
)


def parse(**fields: Any) -> Any:
    return Trip.model_validate_json(json.dumps(TRIP | fields))


def wrong_fields(**fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        parse(**fields)
    return [".".join(str(part) for part in error["loc"]) for error in caught.value.errors()]


@given(trips)
def test_every_trip_within_bounds_is_taken_as_it_is(body: dict[str, Any]) -> None:
    trip: Any = Trip.model_validate_json(json.dumps(body))
    for name in ("trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id", "request_id"):
        assert getattr(trip, name) == body.get(name)
    if body.get("pickup_at"):
        assert trip.pickup_at == datetime.fromisoformat(body["pickup_at"])


@given(st.floats().filter(lambda miles: not 0 < miles < 100))
def test_no_other_distance_is_taken(miles: float) -> None:
    assert wrong_fields(trip_distance=miles) == ["trip_distance"]


@given(
    st.sampled_from(["pickup_location_id", "dropoff_location_id", "passenger_count"]),
    st.integers().filter(lambda number: not 0 <= number <= 265) | st.floats() | st.text() | st.booleans(),
)
def test_no_other_count_or_zone_is_taken(field: str, value: Any) -> None:
    assert wrong_fields(**{field: value}) == [field]


@given(st.text().filter(lambda name: name not in Trip.model_fields), st.none() | st.integers())
def test_no_unknown_field_is_taken(name: str, value: Any) -> None:
    assert wrong_fields(**{name: value}) == [name]


@given(
    st.one_of(
        st.text(),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.lists(st.integers()),
        st.dictionaries(st.text(), st.none()),
    )
)
def test_whatever_pickup_at_is_it_is_a_moment_in_bounds_or_refused(value: Any) -> None:
    try:
        trip = parse(pickup_at=value)
    except ValidationError:
        assert wrong_fields(pickup_at=value) == ["pickup_at"]
    else:
        assert trip.pickup_at is not None
        assert EARLIEST <= trip.pickup_at < LATEST


@given(moments, st.integers(-23 * 60, 23 * 60))
def test_an_offset_names_the_same_moment(moment: datetime, minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert parse(pickup_at=elsewhere.isoformat()).pickup_at == moment


def columns_of(trip: Any) -> Columns:
    """What a version is asked for a single trip."""
    asked: list[Columns] = []

    def predict_rows(columns: Columns) -> npt.NDArray[np.float64]:
        asked.append(columns)
        return np.zeros(1)

    loaded: Any = SimpleNamespace(version=SimpleNamespace(number=1), scorer=SimpleNamespace(predict_rows=predict_rows))
    RawRows(MODELS).score(loaded, [(trip, None)], EARLIEST)
    return asked[0]


@given(moments)
def test_without_an_offset_the_hour_is_new_yorks(moment: datetime) -> None:
    local = moment.astimezone(NEW_YORK)
    trip = parse(pickup_at=local.replace(tzinfo=None).isoformat())
    assert trip.pickup_at is not None
    assert int(hour_of_day(columns_of(trip)["event_at"])[0]) == local.hour


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2023-01-15T09:30:00", "2023-01-15T14:30:00+00:00"),
        ("2023-07-15T09:30:00", "2023-07-15T13:30:00+00:00"),
        ("2023-07-15 09:30:00.25", "2023-07-15T13:30:00.250000+00:00"),
        ("2023-07-15T09:30:00Z", "2023-07-15T09:30:00+00:00"),
        ("2023-11-05T01:30:00", "2023-11-05T05:30:00+00:00"),  # occurs twice: the first
        ("2023-03-12T02:30:00", "2023-03-12T07:30:00+00:00"),  # skipped: half an hour after the change
        ("2009-01-01T00:00:00", "2009-01-01T05:00:00+00:00"),
        ("2099-12-31T23:59:59", "2100-01-01T04:59:59+00:00"),
    ],
)
def test_new_york_time_is_defined_at_its_edges(text: str, utc: str) -> None:
    moment = parse(pickup_at=text).pickup_at
    assert moment is not None
    assert moment.isoformat() == utc


@pytest.mark.parametrize("text", ["2008-12-31T23:59:59", "2100-01-01T00:00:00", "9999-12-31T23:59:59-23:59"])
def test_a_moment_out_of_bounds_is_refused(text: str) -> None:
    assert wrong_fields(pickup_at=text) == ["pickup_at"]


@given(st.floats())
def test_ground_truth_is_finite_positive_and_within_a_day(minutes: float) -> None:
    body = {"request_id": "ride-1", "trip_duration_minutes": minutes}
    if math.isfinite(minutes) and 0 < minutes <= 1440:
        assert GroundTruth.model_validate(body).trip_duration_minutes == minutes
    else:
        with pytest.raises(ValidationError, match="trip_duration_minutes"):
            GroundTruth.model_validate(body)


def test_a_wrong_trip_of_a_batch_has_its_position() -> None:
    with pytest.raises(ValidationError) as caught:
        TripBatch.model_validate_json(json.dumps({"trips": [TRIP, TRIP | {"trip_distance": 0}]}))
    assert [error["loc"] for error in caught.value.errors()] == [("trips", 1, "trip_distance")]
