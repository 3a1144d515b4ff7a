"""What is said of mistakes: the first of them, and how many there are."""

import numpy as np
import pytest

from autoops.serving.payloads.validation_errors import InvalidRows, ValidationErrors


def said(errors: ValidationErrors) -> tuple[str, list[str]]:
    with pytest.raises(InvalidRows) as caught:
        errors.check()
    return str(caught.value), [problem.field for problem in caught.value.listed]


def test_without_a_mistake_nothing_is_refused() -> None:
    errors = ValidationErrors()
    errors.rows("trip_distance", np.zeros(3, dtype=bool), "too far")
    errors.each("pickup_at", [])
    errors.check()


def test_one_mistake_is_said_as_it_is() -> None:
    errors = ValidationErrors()
    errors.column("colour", "not permitted")
    assert said(errors) == ("colour: not permitted", ["colour"])


def test_columns_and_rows_are_counted_together() -> None:
    errors = ValidationErrors(prefix="columns.", first_row=100)
    errors.column("colour", "not permitted")
    errors.column("size", "not permitted")
    errors.rows("trip_distance", np.array([False, True, True]), "too far")
    errors.each("pickup_at", [(0, "no time")])
    message, fields = said(errors)
    assert message == "columns.colour: not permitted (and 4 more)"
    assert fields == [
        "columns.colour",
        "columns.size",
        "columns.trip_distance.101",
        "columns.trip_distance.102",
        "columns.pickup_at.100",
    ]


def test_twenty_are_listed_and_all_are_counted() -> None:
    errors = ValidationErrors()
    for name in ("trip_distance", "passenger_count"):
        errors.rows(name, np.ones(15, dtype=bool), "out of bounds")
    message, fields = said(errors)
    assert message == "trip_distance.0: out of bounds (and 29 more)"
    assert (len(fields), fields[-1]) == (20, "passenger_count.4")
