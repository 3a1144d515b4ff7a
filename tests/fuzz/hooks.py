"""What schemathesis is told of our API beyond its OpenAPI document, because JSON Schema has no words for it. Runs in
schemathesis's environment."""

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.arrow_streams import stream

# The document's pattern names the years; the first and the last day begin and end in New York.
_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(datetime(2009, 1, 3), datetime(2099, 12, 29), timezones=_OFFSETS).map(datetime.isoformat)
_ZONES = st.integers(1, 265)
_INTEGERS = ("passenger_count", "pickup_location_id", "dropoff_location_id")


@st.composite
def _streams(draw: st.DrawFn) -> bytes:
    """Valid Arrow bodies, of which the document can only say that they are binary."""
    rows, columns = draw(st.integers(1, 20)), {}
    for name, values in (
        ("pickup_at", _MOMENTS),
        ("trip_distance", st.floats(0, 100, exclude_min=True, exclude_max=True)),
        ("passenger_count", st.none() | st.integers(0, 9)),
        ("pickup_location_id", _ZONES),
        ("dropoff_location_id", _ZONES),
    ):
        columns[name] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)))
    return stream(pa.table(columns), draw(st.integers(1, 20)))


schemathesis.openapi.format("date-time", _MOMENTS)
schemathesis.openapi.media_type("application/vnd.apache.arrow.stream", _streams())


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Valid columns are of one length, and a valid 3 is not written as 3.0, which JSON Schema calls an integer."""
    if case.meta.generation.mode == GenerationMode.POSITIVE and isinstance(case.body, dict):
        case.body = _as_integers(case.body)
        if columns := case.body.get("columns"):
            length = min(len(values) for values in columns.values() if values is not None)
            case.body = {"columns": {name: values and values[:length] for name, values in columns.items()}}
        case.body = _each_id_for_one_trip(case.body)


_trips: dict[str, Any] = {}


def _each_id_for_one_trip(body: dict[str, Any]) -> dict[str, Any]:
    """An id of another trip is refused, which the document cannot say: such a trip gets an id of its own."""
    if isinstance(rows := body.get("trips"), list):
        return body | {"trips": [_each_id_for_one_trip(row) for row in rows]}
    if columns := body.get("columns"):
        ids = [name and uuid.uuid4().hex for name in columns.get("request_id") or ()]
        return {"columns": columns | ({"request_id": ids} if ids else {})}
    if not isinstance(name := body.get("request_id"), str) or "trip_distance" not in body:
        return body
    trip = {field: value for field, value in body.items() if field != "request_id" and value is not None}
    if _trips.setdefault(name, trip) == trip:
        return body
    fresh = uuid.uuid4().hex
    _trips[fresh] = trip
    return body | {"request_id": fresh}


def _as_integers(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _as_integers(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_integers(inner, name) for inner in value]
    return int(value) if name in _INTEGERS and isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def before_load_schema(_context: Any, document: dict[str, Any]) -> None:
    """Sequences: a prediction, then its ground truth, or the same request once more."""
    label = {"prediction_id": "$response.body#/prediction_id", "trip_duration_minutes": 12.5}
    document["paths"]["/predict"]["post"]["responses"]["200"]["links"] = {
        "its label": {"operationRef": "#/paths/~1ground-truth/post", "requestBody": {"labels": [label]}},
        "again": {"operationRef": "#/paths/~1predict/post", "requestBody": "$request.body"},
    }


@schemathesis.check
class RepeatsAreTheFirstAnswer:
    """Of single trips with a `request_id` that were answered."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, float]] = {}

    def after_response(self, _context: Any, response: Any, case: Any) -> None:
        name = case.body.get("request_id") if isinstance(case.body, dict) else None
        if case.operation.label != "POST /predict" or response.status_code != 200 or not isinstance(name, str):
            return
        answer = response.json()
        got = answer["prediction_id"], answer["trip_duration_minutes"]
        assert self._first.setdefault(name, got) == got, f"{name!r} was answered {self._first[name]} before"
