"""No single row decides where a span of event time begins or ends."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.event_times import (
    Times,
    aware,
    is_plausible,
    near,
    newest_of,
    plausible,
    span_of,
    strays_in,
    times_of,
)
from autoops.usecase import declaration

BEGIN = np.datetime64("2023-03-01", "us")
MINUTE = np.timedelta64(1, "m").astype("timedelta64[us]")
ANY_TIME = st.datetimes(datetime(2008, 1, 1), datetime(2099, 12, 31)).map(lambda at: np.datetime64(at, "us"))
A_DAY = timedelta(days=1)


def traffic(rows: int) -> Times:
    return BEGIN + MINUTE * np.arange(rows)


def mixed(rows: Times, strays: list[np.datetime64], seed: int = 0) -> Times:
    places = np.random.default_rng(seed).integers(0, len(rows) + 1, len(strays))
    return np.insert(rows, places, np.array(strays, dtype="datetime64[us]"))


@given(strays=st.lists(ANY_TIME, min_size=1, max_size=5))
def test_half_a_percent_of_any_rows_keep_a_span_within_that_of_the_others(strays: list[np.datetime64]) -> None:
    rows = traffic(1_000)
    first, last = span_of(mixed(rows, strays))
    assert aware(rows[0]) <= first <= aware(rows[20])
    assert aware(rows[-20]) <= last <= aware(rows[-1])


@given(strays=st.lists(ANY_TIME, min_size=1, max_size=10))
def test_a_log_reaches_no_further_for_a_few_rows(strays: list[np.datetime64]) -> None:
    rows = traffic(2_000)
    found = newest_of(mixed(rows, strays))
    assert found is not None
    assert aware(rows[-12]) <= found <= aware(rows[-1])


@pytest.mark.parametrize(("rows", "trimmed"), [(1, 0), (2, 0), (3, 1), (100, 1), (1_000, 10), (1_001, 11)])
def test_a_span_leaves_out_a_hundredth_at_either_end(rows: int, trimmed: int) -> None:
    times = traffic(rows)
    assert span_of(times[::-1]) == (aware(times[trimmed]), aware(times[rows - 1 - trimmed]))


@pytest.mark.parametrize(("rows", "allowed"), [(0, 0), (99, 0), (100, 1), (1_000, 10), (10**6, 10)])
def test_hardly_any_rows_of_a_log_decide_nothing(rows: int, allowed: int) -> None:
    assert strays_in(rows) == allowed


def test_rows_far_from_those_that_came_with_them_are_not_near() -> None:
    strays = [np.datetime64(day, "us") for day in ("2009-01-01", "2023-04-01", "2090-12-31")]
    times = mixed(traffic(1_000), strays)
    assert sorted(times[~near(times)].tolist()) == sorted(at.item() for at in strays)


def test_a_month_in_any_order_and_an_outage_are_near() -> None:
    month = np.random.default_rng(0).permutation(traffic(30 * 24 * 60))
    assert near(month).all()
    later = np.concatenate([traffic(1_000), traffic(1_000) + np.timedelta64(90, "D")])
    assert near(later).mean() > 0.9
    assert near(traffic(3)).all()


def test_a_trip_may_begin_a_day_after_its_prediction_and_long_before() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for at, fits in ((now + timedelta(hours=23), True), (now + timedelta(hours=25), False)):
        assert is_plausible(at, now, A_DAY) == fits
        assert plausible(times_of([at]), now, A_DAY).tolist() == [fits]
    assert is_plausible(datetime(1996, 1, 1, tzinfo=UTC), now, A_DAY)
    assert not is_plausible(datetime(1980, 1, 6, tzinfo=UTC), now, A_DAY)


def test_a_booking_may_be_made_long_before_its_day() -> None:
    now, ahead = datetime(2026, 1, 1, tzinfo=UTC), declaration.load("hotel").event_time.ahead
    for days, fits in ((600, True), (1_100, False)):
        at = now + timedelta(days=days)
        assert is_plausible(at, now, ahead) == fits
        assert plausible(times_of([at]), now, ahead).tolist() == [fits]
    assert declaration.load("taxi").event_time.ahead == A_DAY
