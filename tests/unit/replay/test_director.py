from datetime import UTC, datetime

import pytest

from autoops.months import Month
from autoops.replay.director import CRAWL_PER_S, SLOWER, Director
from autoops.replay.pace import Pace
from autoops.replay.tally import Answer

MONTH = Month(2023, 5)
NOW = datetime(2023, 5, 5, tzinfo=UTC)
FULL = 200.0


class WatchedPace(Pace):
    """Remembers what it was last told: a rate, or 0 for held."""

    told = FULL

    def hold(self) -> None:
        super().hold()
        self.told = 0.0

    def go(self, rate: float | None) -> None:
        super().go(rate)
        self.told = rate or 0.0


@pytest.fixture
def pace() -> WatchedPace:
    return WatchedPace(FULL)


@pytest.fixture
def director(pace: WatchedPace) -> Director:
    """A monitor that judges 100 trips at a time, and a month of 360 trips: three legs of 120."""
    director = Director(pace, FULL, window=100)
    director.month_began(MONTH, 360)
    return director


def answer(director: Director, trips: int, version: int = 1) -> None:
    for _ in range(trips):
        director.answered(MONTH, Answer(NOW, 10, 10, version, NOW))


def test_goes_at_full_rate_between_the_stations(director, pace):
    answer(director, 119)
    director.steer(False)
    assert (pace.told, director.waits) == (FULL, False)


def test_crawls_at_a_station_until_the_monitor_has_judged(director, pace):
    answer(director, 120)
    assert (pace.told, director.waits) == (CRAWL_PER_S, True)
    director.steer(False)
    assert pace.told == CRAWL_PER_S
    director.judged(1)
    director.steer(False)
    assert (pace.told, director.waits) == (FULL, False)


def test_trips_that_go_by_during_a_wait_bring_the_next_station_nearer(director, pace):
    answer(director, 130)
    director.judged(1)
    director.steer(False)
    answer(director, 109)
    assert pace.told == FULL
    answer(director, 1)
    assert pace.told == CRAWL_PER_S


def test_does_not_wait_at_a_station_for_what_has_just_been_judged(director, pace):
    answer(director, 105)
    director.judged(1)
    answer(director, 15)
    assert (pace.told, director.waits) == (FULL, False)


def test_holds_at_the_end_of_a_month_that_has_not_been_judged(director, pace):
    answer(director, 360)
    director.month_ended(MONTH)
    director.month_began(MONTH.plus(1), 360)
    director.steer(False)
    assert (pace.told, director.ended) == (0, [MONTH])
    director.judged(1)
    director.steer(False)
    assert pace.told == FULL


def test_passes_the_end_of_a_month_with_too_few_trips_to_judge(director, pace):
    answer(director, 99)
    director.month_ended(MONTH)
    assert pace.told == FULL


def test_short_months_are_judged_together(pace):
    director = Director(pace, FULL, window=100)
    for held in (False, True):
        director.month_began(MONTH, 60)
        answer(director, 60)
        director.month_ended(MONTH)
        assert director.waits == held


def test_a_retraining_is_never_waited_for_in_silence(director, pace):
    answer(director, 360)
    director.steer(True)
    director.month_ended(MONTH)
    assert pace.told > 0


def test_leaves_most_of_the_month_to_the_new_version(director, pace):
    director.steer(True)
    answer(director, 143)
    director.steer(True)
    assert pace.told == FULL / SLOWER
    answer(director, 1)
    director.steer(True)
    assert pace.told == CRAWL_PER_S


def test_goes_on_as_soon_as_the_new_version_answers(director, pace):
    answer(director, 50)
    director.steer(True)
    answer(director, 1, version=2)
    director.steer(True)
    assert pace.told == FULL
    director.steer(False)
    director.steer(True)
    assert pace.told == FULL / SLOWER


def test_trips_of_the_old_version_do_not_count_for_the_new_one(director):
    answer(director, 119)
    answer(director, 1, version=2)
    assert (director.version, director.unjudged, director.waits) == (2, 1, False)


def test_a_verdict_on_the_old_version_says_nothing_of_the_new_one(director):
    answer(director, 120, version=2)
    director.judged(1)
    assert director.waits


def test_loses_patience_with_a_monitor_that_never_comes(pace):
    director = Director(pace, FULL, window=100, patience_s=0)
    director.month_began(MONTH, 360)
    answer(director, 360)
    director.month_ended(MONTH)
    director.steer(False)
    assert (pace.told, director.waits) == (FULL, False)


def test_a_mistake_is_waited_for_as_soon_as_there_is_enough_to_tell_and_whatever_is_judged(director, pace):
    director.expect_rollback(2)
    answer(director, 50)
    answer(director, 110, version=2)
    assert pace.told == FULL
    answer(director, 5, version=2)
    director.judged(2)
    director.steer(False)
    assert (pace.told, director.waits) == (CRAWL_PER_S, True)


def test_after_a_rollback_the_client_waits_for_the_version_that_was_put_back(director, pace):
    answer(director, 1)
    director.expect_rollback(2)
    answer(director, 115, version=2)
    director.rolled_back(2)
    answer(director, 3, version=2)
    director.steer(False)
    assert (pace.told, director.version) == (CRAWL_PER_S, 2)
    answer(director, 1)
    director.steer(False)
    assert (pace.told, director.version, director.unjudged) == (FULL, 1, 1)


def test_late_answers_of_what_was_rolled_back_take_nothing_over(director):
    answer(director, 1)
    answer(director, 1, version=2)
    director.rolled_back(2)
    answer(director, 1)
    answer(director, 1, version=2)
    assert (director.version, director.unjudged) == (1, 1)
    answer(director, 1, version=3)
    assert director.version == 3


def test_late_answers_of_what_was_replaced_are_not_counted_for_the_new_version(director):
    answer(director, 1, version=2)
    answer(director, 5)
    assert (director.version, director.unjudged) == (2, 1)
