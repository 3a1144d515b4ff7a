import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from autoops.errors import InputError
from autoops.replay.pace import MAX_BACKLOG_S, Pace

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)


class Stopwatch:
    """Monotonic seconds that pass only by sleeping, or by `work`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.on_sleep = lambda: None

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.on_sleep()

    def work(self, seconds: float) -> None:
        self.now_s += seconds


def turns(pace: Pace, watch: Stopwatch, event_hours: list[float]) -> list[float]:
    async def run() -> list[float]:
        went = []
        for hours in event_hours:
            await pace.turn(BEGIN + timedelta(hours=hours))
            went.append(round(watch.now_s, 6))
        return went

    return asyncio.run(run())


def test_a_rate_spaces_requests_evenly_whatever_the_event_times():
    watch = Stopwatch()
    assert turns(Pace(rate=10, now=watch.now, sleep=watch.sleep), watch, [0, 5, 5, 100]) == [0, 0.1, 0.2, 0.3]


def test_a_speed_lets_event_time_pass_so_many_times_faster():
    watch = Stopwatch()
    pace = Pace(speed=3600, now=watch.now, sleep=watch.sleep)
    assert turns(pace, watch, [0, 2, 2, 5]) == [0, 2, 2, 5]


def test_a_speed_with_a_rate_is_never_faster_than_either():
    watch = Stopwatch()
    pace = Pace(rate=2, speed=3600, now=watch.now, sleep=watch.sleep)
    assert turns(pace, watch, [0, 0.1, 3]) == [0, 0.5, 3.4]


def test_without_bounds_nothing_waits():
    watch = Stopwatch()
    assert turns(Pace(now=watch.now, sleep=watch.sleep), watch, [0, 10, 20]) == [0, 0, 0]


def test_what_fell_behind_catches_up_a_little_and_never_bursts():
    watch = Stopwatch()
    pace = Pace(rate=10, now=watch.now, sleep=watch.sleep)

    async def run() -> list[float]:
        await pace.turn(BEGIN)
        watch.work(60)
        went = []
        for _ in range(10):
            await pace.turn(BEGIN)
            went.append(watch.now_s)
        return went

    went = asyncio.run(run())
    at_once = sum(moment == went[0] for moment in went)
    assert at_once == pytest.approx(MAX_BACKLOG_S * 10 + 1, abs=1)
    assert went[-1] - went[at_once] == pytest.approx(0.1 * (9 - at_once))


def test_held_waits_until_it_may_go_at_the_new_rate():
    watch = Stopwatch()
    pace = Pace(rate=10, now=watch.now, sleep=watch.sleep)
    pace.hold()

    def release() -> None:
        if watch.now_s >= 7:
            pace.go(100)

    watch.on_sleep = release
    went = turns(pace, watch, [0, 1, 2])
    assert went[0] == pytest.approx(7, abs=0.1)
    assert went[2] - went[0] == pytest.approx(0.02)


def test_stopped_says_so_even_while_it_is_held():
    watch = Stopwatch()
    pace = Pace(now=watch.now, sleep=watch.sleep)
    pace.hold()
    watch.on_sleep = pace.stop
    assert asyncio.run(pace.turn(BEGIN)) is False


@pytest.mark.parametrize("bound", [{"rate": 0}, {"speed": -1}])
def test_a_pace_that_never_moves_is_refused(bound):
    with pytest.raises(InputError, match="above 0"):
        Pace(**bound)
