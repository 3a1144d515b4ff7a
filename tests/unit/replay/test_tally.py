from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.months import Month
from autoops.replay.tally import Answer, Tally
from tests.taxi import CONTRACT

BEGIN = datetime(2023, 1, 31, 20, 30, tzinfo=UTC)
WALL = datetime(2026, 1, 1, tzinfo=UTC)


def answer(hours: float, prediction: float, version: int = 1, truth: float = 10, wall_s: float = 0) -> Answer:
    return Answer(BEGIN + timedelta(hours=hours), prediction, truth, version, WALL + timedelta(seconds=wall_s))


def filled(*answers: Answer) -> Tally:
    tally = Tally(CONTRACT)
    for one in answers:
        tally.add(one)
    return tally


def test_errors_are_kept_apart_by_month_of_new_york_and_by_version():
    tally = filled(answer(0, 12), answer(8, 7), answer(9, 11), answer(9, 10.5, version=2))
    found = [(Month.of(s.event_at), s.model_version, s.rows, s.mae, s.bias) for s in tally.by_month()]
    january, february = Month(2023, 1), Month(2023, 2)
    assert found == [(january, 1, 2, 2.5, -0.5), (february, 1, 1, 1, 1), (february, 2, 1, 0.5, 0.5)]


def test_by_span_gives_the_curve_of_the_error():
    days = filled(answer(0, 12), answer(3, 13), answer(30, 14)).by_span(timedelta(days=1))
    assert [(s.event_at.day, s.rows, s.mae) for s in days] == [(31, 2, 2.5), (2, 1, 4)]


def test_the_first_answer_of_a_version_is_remembered_in_both_times():
    first = filled(answer(0, 1), answer(1, 1, version=2, wall_s=5), answer(2, 1, version=2, wall_s=6)).first_answers[2]
    assert (first.event_at, first.answered_at) == (BEGIN + timedelta(hours=1), WALL + timedelta(seconds=5))


def test_wall_time_is_turned_into_event_time_to_the_hour():
    tally = filled(answer(0, 1), answer(5, 1, wall_s=10), answer(9, 1, wall_s=20))
    assert tally.event_time_at(WALL - timedelta(seconds=1)) is None
    assert tally.event_time_at(WALL + timedelta(seconds=15)) == datetime(2023, 2, 1, 1, tzinfo=UTC)


@given(st.lists(st.tuples(st.floats(0, 2000), st.floats(1, 60), st.integers(1, 3)), min_size=1))
def test_sums_are_those_of_the_single_answers(trips):
    tally = filled(*(answer(*trip) for trip in trips))
    segments = tally.by_month()
    assert sum(s.rows for s in segments) == len(trips)
    total = sum(abs(prediction - 10) for _, prediction, _ in trips)
    assert sum(s.rows * s.mae for s in segments) == pytest.approx(total, abs=1e-6)
