from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.loop.data.sub_windows import Attempt, Span, Timestamps, split, unjudged

MAY = datetime(2022, 5, 1, 4, tzinfo=UTC)
TRAINED = MAY - timedelta(days=1)
SIZE = 100


def trips(days: float, rows: int, begin: datetime = MAY) -> Timestamps:
    """Evenly over `days` from `begin` on."""
    first = np.datetime64(begin.replace(tzinfo=None), "us")
    return first + (np.arange(rows) * days * 86_400e6 / rows).astype("timedelta64[us]")


def judged(*spans: Span) -> list[Attempt]:
    return [Attempt(span, judged=True) for span in spans]


def lengths(spans: list[Span]) -> list[int]:
    return [round((span.end - span.begin) / timedelta(days=1)) for span in spans]


def test_a_month_is_judged_in_thirds_of_its_time() -> None:
    spans = split(trips(30, 3_000), SIZE)
    assert lengths(spans) == [10, 10, 10]
    assert [span.rows for span in spans] == [1_000, 1_000, 1_000]
    assert spans[0].begin == MAY
    assert [span.begin for span in spans[1:]] == [span.end for span in spans[:-1]]


@pytest.mark.parametrize(
    ("days", "rows", "expected"),
    [
        (28, 3_000, [9, 9, 9]),
        (31, 3_000, [10, 10, 10]),
        (20, 3_000, [10, 10]),
        (12, 3_000, [12]),
        (3, 3_000, [3]),
        (30, 300, [10, 10, 10]),
        (30, 299, [15, 15]),
        (30, 199, [30]),
        (30, 5, [24]),
    ],
)
def test_fewer_windows_where_they_would_be_shorter_than_a_week_or_too_small(
    days: float, rows: int, expected: list[int]
) -> None:
    assert lengths(split(trips(days, rows), SIZE)) == expected


def test_a_third_that_is_too_quiet_makes_fewer_windows() -> None:
    quiet = np.concatenate([trips(10, 1_000), trips(20, 120, MAY + timedelta(days=10))])
    assert [span.rows for span in split(quiet, SIZE)] == [1_120]


def test_a_month_without_trips_has_no_window() -> None:
    assert split(trips(30, 0), SIZE) == []


@given(st.lists(st.integers(0, 31 * 86_400_000_000 - 1), min_size=1, max_size=600), st.integers(1, 200))
def test_every_trip_is_in_one_window(offsets: list[int], size: int) -> None:
    moments = trips(1, 1)[0] + np.sort(np.array(offsets)).astype("timedelta64[us]")
    spans = split(moments, size)
    at = [MAY + timedelta(microseconds=offset) for offset in offsets]
    assert [sum(span.begin <= moment < span.end for span in spans) for moment in at] == [1] * len(at)
    assert [span.rows for span in spans] == [sum(span.begin <= m < span.end for m in at) for span in spans]
    assert (spans[0].begin, spans[-1].end) == (min(at), max(at) + timedelta(microseconds=1))


def test_what_is_left_of_a_month_goes_on_where_judging_ended() -> None:
    month = trips(30, 3_000)
    first, second, third = split(month, SIZE)
    left = unjudged(month, TRAINED, judged(first), SIZE)
    assert sum(span.rows for span in left) == second.rows + third.rows
    assert lengths(left) == [10, 10]
    assert left[0].begin >= first.end
    assert unjudged(month, TRAINED, judged(first, second, third), SIZE) == []


def test_a_trip_that_begins_when_a_judged_window_ends_belongs_to_the_next() -> None:
    ten_days = Span(MAY, MAY + timedelta(days=10), 1_000)
    left = unjudged(trips(30, 3_000), TRAINED, judged(ten_days), SIZE)
    assert left[0].begin == ten_days.end
    assert sum(span.rows for span in left) == 2_000


def test_what_a_version_was_trained_on_is_not_judged() -> None:
    month = trips(30, 3_000)
    known = MAY + timedelta(days=9, hours=12)
    left = unjudged(month, known, [], SIZE)
    assert lengths(left) == [10, 10]
    assert left[0].begin > known
    assert unjudged(month, MAY + timedelta(days=30), [], SIZE) == []


def test_a_month_that_was_published_in_part_is_judged_on_from_there() -> None:
    (part,) = unjudged(trips(12, 1_200), TRAINED, [], SIZE)
    left = unjudged(trips(30, 3_000), TRAINED, judged(part), SIZE)
    assert lengths(left) == [9, 9]
    assert part.rows + sum(span.rows for span in left) == 3_000


def test_later_trips_of_judged_time_are_not_judged_again() -> None:
    spans = split(trips(30, 3_000), SIZE)
    within = np.sort(np.concatenate([trips(30, 3_000), trips(29, 500)]))
    assert unjudged(within, TRAINED, judged(*spans), SIZE) == []


def test_too_little_is_tried_once_and_again_when_there_is_more() -> None:
    (little,) = unjudged(trips(30, 90), TRAINED, [], SIZE)
    tried = [Attempt(little, judged=False)]
    assert unjudged(trips(30, 90), TRAINED, tried, SIZE) == []
    assert [span.rows for span in unjudged(trips(30, 190), TRAINED, tried, SIZE)] == [190]
