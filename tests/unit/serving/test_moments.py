"""Many moments at once are what each would be alone, whatever way they are written."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from autoops.serving.payloads import timestamps
from autoops.usecases.taxi.trips import NEW_YORK
from tests.taxi import EARLIEST, LATEST, MODELS

READER = MODELS.timestamps

wall_clocks = st.datetimes(datetime(2008, 12, 30), datetime(2100, 1, 3))
EDGES = [
    "2023-11-05T00:59:59",
    "2023-11-05T01:30:00",
    "2023-11-05T02:00:00",
    "2023-03-12T01:59:59",
    "2023-03-12T02:30:00",
    "2023-03-12T03:00:00",
    "2009-01-01T00:00:00",
    "2099-12-31T23:59:59",
]


def alone(text: str | None) -> datetime | str | None:
    """The moment, or what is said against it."""
    try:
        return None if text is None else READER.parse(text)
    except PydanticCustomError as error:
        return error.message()


def together(texts: list[str | None]) -> list[datetime | str | None]:
    found, refused = READER.parse_texts(texts)
    complaints = dict(refused)
    return [
        complaints.get(position, None if moment is None else moment.replace(tzinfo=UTC))
        for position, moment in enumerate(found.tolist())
    ]


@given(
    st.lists(wall_clocks, min_size=1, max_size=20),
    st.sampled_from(["", "Z", "+00:00", "-05:00", "+05:30"]),
    st.sampled_from([" ", "T"]),
)
def test_texts_of_one_form_are_what_each_is_alone(clocks: list[datetime], ending: str, separator: str) -> None:
    texts: list[str | None] = [clock.isoformat(separator) + ending for clock in clocks]
    assert together(texts) == [alone(text) for text in texts]


digits = st.text("0123456789-:T. Z+", min_size=10, max_size=26)
texts_of_any_form = st.none() | st.text(max_size=30) | digits | wall_clocks.map(datetime.isoformat)


@given(st.lists(texts_of_any_form, max_size=10))
def test_whatever_the_texts_are_each_is_judged_as_alone(texts: list[str | None]) -> None:
    assert together(texts) == [alone(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    ["2023-02-30T10:00:00", "2023-01-10T24:00:00", "2023-01-10T10:60:00", "2023-01-10T10:30:60", "0000-01-01T00:00:00"],
)
def test_a_day_or_hour_that_does_not_exist_is_refused_among_others(text: str) -> None:
    assert together(["2023-01-10T10:30:00", text]) == [READER.parse("2023-01-10T10:30:00"), alone(text)]
    assert isinstance(alone(text), str)


@pytest.mark.parametrize("text", EDGES)
def test_new_york_has_the_same_edges(text: str) -> None:
    assert together([text]) == [READER.parse(text)]
    wall_clock = np.array([text], dtype="datetime64[us]")
    assert READER.to_utc(wall_clock).tolist() == [READER.parse(text).replace(tzinfo=None)]


def test_every_hour_of_years_of_change_is_new_yorks() -> None:
    hours = np.arange("2022-12-31", "2026-01-02", dtype="datetime64[h]").astype("datetime64[us]")
    expected = [hour.replace(tzinfo=NEW_YORK).astimezone(UTC).replace(tzinfo=None) for hour in hours.tolist()]
    assert READER.to_utc(hours).tolist() == expected


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=10),
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.booleans(),
)
def test_no_timestamp_overflows_into_range(counts: list[int], unit: str, naive: bool) -> None:
    found, fine = READER.from_arrow(np.array(counts), unit, naive)
    microseconds = {"s": 10**6, "ms": 10**3, "us": 1}
    for count, moment, is_fine in zip(counts, found.tolist(), fine, strict=True):
        exact = count // 1000 if unit == "ns" else count * microseconds[unit]
        try:
            clock = datetime(1970, 1, 1) + timedelta(microseconds=exact)
            utc = clock.replace(tzinfo=NEW_YORK if naive else UTC).astimezone(UTC)
        except OverflowError:
            assert not is_fine
            continue
        assert is_fine == (EARLIEST <= utc < LATEST)
        assert not is_fine or moment == utc.replace(tzinfo=None)


@given(wall_clocks, st.sampled_from(["s", "ms", "us", "ns"]), st.booleans())
def test_timestamps_of_all_units_are_what_the_text_is(clock: datetime, unit: str, naive: bool) -> None:
    clock = clock.replace(microsecond=0)
    count = np.array([clock], dtype=f"datetime64[{unit}]").astype(np.int64)
    found, fine = READER.from_arrow(count, unit, naive)
    said = alone(clock.isoformat() + ("" if naive else "Z"))
    assert fine[0] == isinstance(said, datetime)
    assert not fine[0] or found.tolist() == [said.astimezone(UTC).replace(tzinfo=None)]  # type: ignore[union-attr]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("naive", [False, True])
def test_timestamps_have_the_edges_of_the_contract(unit: str, naive: bool) -> None:
    edges = [edge.astimezone(NEW_YORK if naive else UTC).replace(tzinfo=None) for edge in (EARLIEST, LATEST)]
    earliest, latest = np.array(edges, dtype=f"datetime64[{unit}]").astype(np.int64).tolist()
    counts = np.array([earliest - 1, earliest, latest - 1, latest])
    found, fine = READER.from_arrow(counts, unit, naive)
    assert fine.tolist() == [False, True, True, False]
    assert found[1] == np.datetime64(EARLIEST.replace(tzinfo=None))


@given(st.lists(st.none() | wall_clocks))
def test_datetimes_are_the_moments_that_they_are(walls: list[datetime | None]) -> None:
    given_at = [None if wall is None else wall.replace(tzinfo=NEW_YORK) for wall in walls]
    found = timestamps.from_datetimes(given_at)
    assert [at and at.replace(tzinfo=UTC) for at in found.tolist()] == [at and at.astimezone(UTC) for at in given_at]
