from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.errors import MonthError
from autoops.months import Month, month_range, parse_months
from autoops.usecases.taxi.trips import NEW_YORK

months = st.builds(Month, st.integers(1980, 2098), st.integers(1, 12))


@given(months)
def test_a_month_parses_what_it_prints(month):
    assert Month.parse(str(month)) == month


def test_blanks_around_a_month_are_not_held_against_it():
    assert Month.parse(" 2023-01\n") == Month(2023, 1)


@pytest.mark.parametrize(
    "text", ["", "2023", "2023-1", "2023-13", "2023-00", "1979-12", "2100-01", "23-01", "2023/01", "2023-01-01", "a"]
)
def test_what_is_no_month_is_refused_with_what_was_given(text):
    with pytest.raises(MonthError, match=repr(text)):
        Month.parse(text)


@given(months, st.integers(-100, 100), st.integers(-100, 100))
def test_months_add_up(month, a, b):
    assert month.plus(a).plus(b) == month.plus(a + b)
    assert (month.plus(a) < month) is (a < 0)


@given(months)
def test_a_month_ends_where_the_next_begins_and_holds_what_lies_between(month):
    assert month.ends_in(NEW_YORK) == month.plus(1).starts_in(NEW_YORK)
    assert (
        Month.of(month.starts_in(NEW_YORK), NEW_YORK)
        == Month.of(month.ends_in(NEW_YORK) - timedelta(microseconds=1), NEW_YORK)
        == month
    )
    assert Month.of(month.ends_in(NEW_YORK), NEW_YORK) == month.plus(1)
    assert timedelta(days=28) <= month.ends_in(NEW_YORK) - month.starts_in(NEW_YORK) <= timedelta(days=31, hours=1)


def test_months_are_those_of_new_york():
    assert Month(2023, 1).starts_in(NEW_YORK) == datetime(2023, 1, 1, 5, tzinfo=UTC)
    assert Month(2022, 7).starts_in(NEW_YORK) == datetime(2022, 7, 1, 4, tzinfo=UTC)
    assert Month.of(datetime(2023, 1, 1, 4, 59, tzinfo=UTC), NEW_YORK) == Month(2022, 12)


def test_a_range_holds_both_ends_and_may_be_empty():
    assert [str(m) for m in month_range(Month(2022, 11), Month(2023, 1))] == ["2022-11", "2022-12", "2023-01"]
    assert list(month_range(Month(2023, 1), Month(2022, 12))) == []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("2023-01", "2023-01"),
        ("2022-11..2023-01", "2022-11 2022-12 2023-01"),
        (["2023-03", "2023-01,2023-02"], "2023-01 2023-02 2023-03"),
        ("2023-01..2023-02, 2023-02,", "2023-01 2023-02"),
    ],
)
def test_months_parse_from_any_mix_sorted_and_each_once(texts, expected):
    assert " ".join(map(str, parse_months(texts))) == expected


@pytest.mark.parametrize("texts", ["", " , ", [], "2023-02..2023-01", "2023-01..", "..2023-01", "2023-01...2023-02"])
def test_a_list_of_months_that_makes_no_sense_is_refused(texts):
    with pytest.raises(MonthError):
        parse_months(texts)


def test_a_month_has_its_days_whatever_the_clocks_do() -> None:
    assert [Month(2022, number).days for number in (2, 3, 11)] == [28, 31, 30]
