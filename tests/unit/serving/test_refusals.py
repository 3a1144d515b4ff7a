"""What is said of mistakes: the first of them, and how many there are."""

import numpy as np
import pytest

from autoops.serving.payloads.validation_errors import InvalidTrips, Refusals


def said(refusals: Refusals) -> tuple[str, list[str]]:
    with pytest.raises(InvalidTrips) as caught:
        refusals.check()
    return str(caught.value), [problem.field for problem in caught.value.listed]


def test_without_a_mistake_nothing_is_refused() -> None:
    refusals = Refusals()
    refusals.rows("trip_distance", np.zeros(3, dtype=bool), "too far")
    refusals.each("pickup_at", [])
    refusals.check()


def test_one_mistake_is_said_as_it_is() -> None:
    refusals = Refusals()
    refusals.column("colour", "not permitted")
    assert said(refusals) == ("colour: not permitted", ["colour"])


def test_columns_and_rows_are_counted_together() -> None:
    refusals = Refusals(prefix="columns.", first_row=100)
    refusals.column("colour", "not permitted")
    refusals.column("size", "not permitted")
    refusals.rows("trip_distance", np.array([False, True, True]), "too far")
    refusals.each("pickup_at", [(0, "no time")])
    message, fields = said(refusals)
    assert message == "columns.colour: not permitted (and 4 more)"
    assert fields == [
        "columns.colour",
        "columns.size",
        "columns.trip_distance.101",
        "columns.trip_distance.102",
        "columns.pickup_at.100",
    ]


def test_twenty_are_listed_and_all_are_counted() -> None:
    refusals = Refusals()
    for name in ("trip_distance", "passenger_count"):
        refusals.rows(name, np.ones(15, dtype=bool), "out of bounds")
    message, fields = said(refusals)
    assert message == "trip_distance.0: out of bounds (and 29 more)"
    assert (len(fields), fields[-1]) == (20, "passenger_count.4")
