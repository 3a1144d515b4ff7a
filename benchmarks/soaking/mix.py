"""What the clients of a soak ask for: cycles of a hundred requests, in which every trip and every label has a number.

All of it follows from the number of the request: which trips it sends and which it labels. A trip's number is in its
`pickup_at`, in seconds since BEGAN_AT, and a label's in its minutes, so that rows of a database can be told apart
whatever their ids are, and nobody has to remember an hour of requests.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from autoops.serving.payloads import arrow
from benchmarks.client import post

Numbers = npt.NDArray[np.int64]

BEGAN_AT = datetime(2024, 1, 1, tzinfo=UTC)
"""Later than the trip with which the server's start is awaited."""

_EPOCH_S = int(BEGAN_AT.timestamp())
_MINUTES_STEP = 1e-6

REQUESTS = 100
"""Of a cycle."""

ROWS = 50
"""Of a batch."""

FORMS = ("rows", "columns", "arrow")
_NAMED, _PLAIN, _OF_EACH_FORM = 30, 38, 2
_SINGLE = _NAMED + _PLAIN
TRIPS = _SINGLE + _OF_EACH_FORM * len(FORMS) * ROWS
"""Of a cycle: single ones with a `request_id`, single ones without, batches."""

_AGAIN, _AGAIN_FROM, _AGAIN_AFTER = 4, 6, 2
READS = {"/health": 4, "/model/info": 3, "/metrics": 1}
JSON = "application/json"


@dataclass(frozen=True)
class _Labels:
    """`posts` requests of a cycle with `each` labels, for trips from `first` on of another cycle."""

    posts: int
    each: int
    first: int
    cycle: Callable[[Numbers], Numbers]
    halves: bool = False
    """Two cycles share the trips of one."""

    @property
    def count(self) -> int:
        return self.posts * self.each


LABELLED = {
    "early": _Labels(2, 3, 0, lambda cycle: cycle + 2),
    "soon": _Labels(6, 5, 24, lambda cycle: cycle - 5),
    "twice": _Labels(2, 5, 24, lambda cycle: cycle - 10),
    "late": _Labels(4, 25, _SINGLE, lambda cycle: cycle // 2, halves=True),
}
"""Before the trip, which only a `request_id` can name; soon after it; once more; and after half of all the time."""

LABELS = sum(some.count for some in LABELLED.values())


@dataclass(frozen=True)
class Request:
    """`trips` are those it predicts, `labels` those it sends; the answer is JSON unless it is Arrow."""

    kind: str
    content: bytes
    trips: range = range(0)
    labels: Sequence[int] = ()


def _cycle() -> list[tuple[str, int]]:
    """Kinds with their count so far, mixed."""
    counts = {"named": _NAMED, "plain": _PLAIN, "again": _AGAIN}
    counts |= dict.fromkeys(FORMS, _OF_EACH_FORM) | {kind: some.posts for kind, some in LABELLED.items()} | READS
    made = [(kind, index) for kind, count in counts.items() for index in range(count)]
    assert len(made) == REQUESTS
    random.Random(7).shuffle(made)
    return made


CYCLE = _cycle()


def request(number: int, id_of: Callable[[int], str | None], is_labelled: Callable[[int], bool]) -> Request:
    """`id_of` a trip is its prediction's, None where none was acknowledged."""
    cycle, position = divmod(number, REQUESTS)
    kind, index = CYCLE[position]
    begins = cycle * TRIPS
    if kind in ("named", "plain"):
        trip = begins + index + (_NAMED if kind == "plain" else 0)
        return Request(kind, _single(trip), range(trip, trip + 1))
    if kind == "again":
        trip = max(cycle - _AGAIN_AFTER, 0) * TRIPS + _AGAIN_FROM + index
        return Request(kind, _single(trip), range(trip, trip + 1))
    if kind in FORMS:
        first = begins + _SINGLE + (FORMS.index(kind) * _OF_EACH_FORM + index) * ROWS
        return Request(kind, _batch(kind, range(first, first + ROWS)), range(first, first + ROWS))
    if kind in LABELLED:
        return _labels(kind, cycle, index, id_of, is_labelled)
    return Request(kind, f"GET {kind} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())


def request_id(trip: int) -> str | None:
    """Of every other row of JSON batches too."""
    offset = trip % TRIPS
    in_rows = _SINGLE <= offset < _SINGLE + _OF_EACH_FORM * ROWS
    return f"ride-{trip}" if offset < _NAMED or (in_rows and offset % 2 == 0) else None


def _trip(number: int) -> dict[str, object]:
    distance = (number * 7919 % 3000 + 10) / 100
    made: dict[str, object] = {
        "pickup_at": datetime.fromtimestamp(_EPOCH_S + number, UTC).isoformat(),
        "trip_distance": distance,
        "passenger_count": number % 5,
        "pickup_location_id": (41, 42, 74, 75, 95)[number % 5],
        "dropoff_location_id": (7, 41, 74, 166, 244)[number // 5 % 5],
    }
    return made


def _single(trip: int) -> bytes:
    name = request_id(trip)
    return post("/predict", JSON, orjson.dumps(_trip(trip) | ({"request_id": name} if name else {})))


def _batch(form: str, trips: range) -> bytes:
    rows = [_trip(trip) for trip in trips]
    if form == "rows":
        named = [row | {"request_id": request_id(trip)} for row, trip in zip(rows, trips, strict=True)]
        return post("/predict/batch", JSON, orjson.dumps({"trips": named}))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    if form == "columns":
        return post("/predict/batch", JSON, orjson.dumps({"columns": columns}))
    return post("/predict/batch", arrow.MEDIA_TYPE, arrow.write(pa.table(columns)))


def _labels(
    kind: str, cycle: int, index: int, id_of: Callable[[int], str | None], is_labelled: Callable[[int], bool]
) -> Request:
    """Leaves out those that nobody can name yet, and second ones whose first was not acknowledged."""
    some = LABELLED[kind]
    first = cycle * LABELS + _first_of(kind) + index * some.each
    items, sent = [], []
    for label, trip in zip(range(first, first + some.each), trips_of(np.arange(first, first + some.each)), strict=True):
        name = request_id(trip) if trip >= 0 else None
        prediction_id = None if name or trip < 0 else id_of(int(trip))
        if (kind == "twice" and not is_labelled(_first_label(label))) or not (name or prediction_id):
            continue
        named = {"request_id": name} if name else {"prediction_id": prediction_id}
        items.append(named | {"trip_duration_minutes": 1 + label * _MINUTES_STEP})
        sent.append(label)
    if not items:
        return Request(kind, b"GET /ready HTTP/1.1\r\nHost: bench\r\n\r\n")
    return Request(kind, post("/ground-truth", JSON, orjson.dumps({"labels": items})), labels=sent)


def _first_label(twice: int) -> int:
    """The label for the same trip of kind `soon`, five cycles before."""
    return twice - 5 * LABELS - _first_of("twice") + _first_of("soon")


def _first_of(kind: str) -> int:
    kinds = list(LABELLED)
    return sum(LABELLED[before].count for before in kinds[: kinds.index(kind)])


def trips_of(labels: Numbers) -> Numbers:
    """The trip of each label; negative before the first cycle."""
    cycle, offset = np.divmod(labels, LABELS)
    found = np.empty_like(labels)
    for kind, some in LABELLED.items():
        within = offset - _first_of(kind)
        mine = (within >= 0) & (within < some.count)
        half = (cycle % 2) * some.count if some.halves else 0
        found[mine] = (some.cycle(cycle) * TRIPS + some.first + half + within)[mine]
    return found


def trip_numbers(epoch_s: Numbers) -> Numbers:
    """From event times."""
    return epoch_s - _EPOCH_S


def label_numbers(minutes: npt.NDArray[np.float64]) -> Numbers:
    return np.rint((minutes - 1) / _MINUTES_STEP).astype(np.int64)
