"""Whether a window of live trips is broken data, on trips over a handful of routes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from autoops.drift.monitor import Reference
from autoops.ingestion.cleaned import profiler_of
from autoops.ingestion.quality import Quality
from autoops.loop.data.cursor import Cursor
from autoops.loop.data.live_quality import quality_of as quality_by
from autoops.loop.data.windows import Window
from autoops.storage.predictions import LIVE, LabelledPrediction, LoggedPrediction
from autoops.usecase.columns import EVENT_AT, TARGET
from tests.taxi import CONTRACT

ROUTES = list(product(range(1, 6), range(1, 6)))
BEGIN = datetime(2023, 3, 1, tzinfo=UTC)

Change = Callable[[LabelledPrediction], LabelledPrediction]


def trips(count: int, seed: int) -> list[LabelledPrediction]:
    rng = np.random.default_rng(seed)
    rows = []
    for number, route in enumerate(rng.integers(len(ROUTES), size=count).tolist()):
        start, end = ROUTES[route]
        miles = (1 + route / 5) * float(np.exp(rng.normal(0, 0.2)))
        minutes = miles * 6 * float(np.exp(rng.normal(0, 0.25)))
        passengers = int(rng.choice([0, 1, 2, 3], p=[0.1, 0.75, 0.1, 0.05]))
        at = BEGIN + timedelta(minutes=number)
        logged = LoggedPrediction(f"{number:05}", None, at, at, 1, LIVE, (miles, passengers, start, end), minutes)
        rows.append(LabelledPrediction(logged, minutes, number + 1))
    return rows


def reference() -> Reference:
    rows = trips(10_000, seed=1)
    moments = pd.to_datetime([row.logged.event_at for row in rows], utc=True).as_unit("us")
    inputs = pd.DataFrame([row.logged.inputs for row in rows], columns=list(CONTRACT.inputs))
    window = inputs.assign(**{EVENT_AT: moments, TARGET: [row.target for row in rows]})
    return Reference(window, window.head(0), CONTRACT)


REFERENCE = reference()


def window(rows: list[LabelledPrediction], labelled: list[LabelledPrediction] | None = None) -> Window:
    return Window(LIVE, [row.logged for row in rows], rows if labelled is None else labelled, Cursor(), Cursor())


def quality_of(reference: Reference, judged: Window, size: int) -> Quality:
    return quality_by(reference, judged, size, profiler_of(CONTRACT))


def found(judged: Window, size: int = 1_000) -> set[tuple[str, str]]:
    return {(one.name, one.column) for one in quality_of(REFERENCE, judged, size).findings}


def sending(**values: Callable[[SimpleNamespace], object] | object) -> Change:
    def change(row: LabelledPrediction) -> LabelledPrediction:
        sent = dict(zip(CONTRACT.inputs, row.logged.inputs, strict=True))
        before = SimpleNamespace(id=row.logged.id, **sent)
        new = sent | {name: value(before) if callable(value) else value for name, value in values.items()}
        return replace(row, logged=replace(row.logged, inputs=tuple(new.values())))

    return change


def lasting(factor: float) -> Change:
    return lambda row: replace(row, target=row.target * factor)


BROKEN: dict[str, tuple[Change, tuple[str, str]]] = {
    "kilometres": (sending(trip_distance=lambda row: row.trip_distance * 1.609), ("unit change", "miles")),
    "no passengers": (sending(passenger_count=0), ("null surge", "passengers")),
    "every other without": (
        sending(passenger_count=lambda row: row.passenger_count * (int(row.id) % 2)),
        ("null surge", "passengers"),
    ),
    "passengers always 1": (sending(passenger_count=1), ("constant column", "passengers")),
    "one zone": (sending(pickup_location_id=3), ("constant column", "pickup_zone")),
    "one distance": (sending(trip_distance=2.0), ("constant column", "miles")),
    "seconds for minutes": (lasting(60), ("unit change", "minutes")),
    "one label": (lambda row: replace(row, target=9.0), ("constant column", "minutes")),
}

CITY: dict[str, Change] = {
    "as before": lambda row: row,
    "40 % slower": lasting(1 / 0.6),
    "40 % faster": lasting(1 / 1.4),
    "half from one zone": sending(pickup_location_id=lambda row: 3 if int(row.id) % 2 else row.pickup_location_id),
    "two at a time": sending(passenger_count=lambda row: row.passenger_count if int(row.id) % 5 else 2),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_data_is_found_and_named(what: str) -> None:
    change, finding = BROKEN[what]
    assert finding in found(window([change(row) for row in trips(1_000, seed=2)]))


@pytest.mark.parametrize("what", CITY)
def test_a_changed_city_is_no_broken_data(what: str) -> None:
    assert found(window([CITY[what](row) for row in trips(1_000, seed=2)])) == set()


@pytest.mark.parametrize("broken", [slice(0, 300), slice(700, 1_000)])
def test_what_begins_or_ends_within_the_window_is_found_in_its_part(broken: slice) -> None:
    rows, change = trips(1_000, seed=2), BROKEN["kilometres"][0]
    rows[broken] = map(change, rows[broken])
    (finding,) = [one for one in quality_of(REFERENCE, window(rows), 1_000).findings if one.column == "miles"]
    assert finding.reason.endswith("(in 1 of 4 parts of the predictions)")
    assert "kilometres where miles should be" in finding.reason
    assert "in 40 parts of the version's own history" in finding.reason


def test_labelled_trips_are_judged_where_predictions_are_too_few_and_say_so() -> None:
    rows = [BROKEN["seconds for minutes"][0](row) for row in trips(1_000, seed=2)]
    quality = quality_of(REFERENCE, window(rows[:900], rows), 1_000)
    (finding,) = [one for one in quality.findings if (one.name, one.column) == ("unit change", "minutes")]
    assert finding.reason.endswith("(in 4 of 4 parts of the labelled trips)")


def test_fewer_rows_than_a_window_wait_for_more() -> None:
    rows = [BROKEN["kilometres"][0](row) for row in trips(999, seed=2)]
    quality = quality_of(REFERENCE, window(rows), 1_000)
    assert (quality.findings, quality.strain) == ((), {})


def test_small_windows_are_judged_in_one_part_and_large_ones_in_four() -> None:
    for size, parts in ((200, 1), (500, 2), (4_000, 4)):
        rows = [BROKEN["kilometres"][0](row) for row in trips(size, seed=2)]
        reasons = [one.reason for one in quality_of(REFERENCE, window(rows, []), size).findings]
        assert [f"(in {parts} of {parts} parts of the predictions)" in reason for reason in reasons] == [True]


def test_with_hardly_any_history_absolute_rules_are_left() -> None:
    short, rows = replace(REFERENCE, window=REFERENCE.window.head(600)), trips(1_000, seed=2)
    kilometres = [BROKEN["kilometres"][0](row) for row in rows]
    same = [BROKEN["one distance"][0](row) for row in rows]
    assert quality_of(short, window(kilometres), 1_000).findings == ()
    names = {one.name for one in quality_of(short, window(same), 1_000).findings}
    assert names == {"constant column"}
