"""When the gate looks again, and when a champion is old enough for a refresh."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from autoops.loop.decide.policy import Freeze, RecentActions
from autoops.loop.decide.reevaluation import (
    Age,
    Undecided,
    next_scheduled,
    overtaken,
    re_evaluate,
    re_evaluation_due,
    retraining_due,
)
from autoops.months import Month

NOW = datetime(2022, 6, 1, tzinfo=UTC)
ANN = Freeze("ann", "election day")
WAITS = Undecided(version=4, compared_with=3, looks=1, days_needed=20, days_published=30)


@pytest.mark.parametrize(
    ("changes", "champion", "newest", "action"),
    [
        ({}, 3, 4, "open incident"),
        ({"days_published": 20}, 3, 4, "open incident"),
        ({"days_published": 19}, 3, 4, "wait for data"),
        ({"days_needed": None}, 3, 4, "nothing"),
        ({"looks": 2}, 3, 4, "open incident"),
        ({"looks": 3}, 3, 4, "nothing"),
        ({"rolled_back": True}, 3, 4, "nothing"),
        ({"promoted": True}, 3, 4, "nothing"),
        ({}, 5, 4, "nothing"),
        ({}, None, 4, "nothing"),
        ({}, 3, 5, "nothing"),
    ],
)
def test_who_is_looked_at_again(changes: dict, champion: int | None, newest: int, action: str) -> None:
    decision = re_evaluation_due(replace(WAITS, **changes), champion, newest, None)
    assert decision.action == action
    assert decision.reason


@pytest.mark.parametrize(
    ("changes", "champion", "newest", "frozen", "back_days_ago", "action"),
    [
        ({}, 3, 4, None, None, "re-evaluate"),
        ({"looks": 3}, 3, 4, None, None, "re-evaluate"),
        ({"days_published": 20}, 3, 4, None, None, "re-evaluate"),
        ({"days_published": 19}, 3, 4, None, None, "wait for data"),
        ({"days_needed": None}, 3, 4, None, None, "wait for data"),
        ({}, 3, 4, ANN, None, "frozen"),
        ({"days_published": 19}, 3, 4, ANN, None, "wait for data"),
        ({}, 3, 4, None, 6.9, "cool down"),
        ({}, 3, 4, None, 7, "re-evaluate"),
        ({}, 5, 4, ANN, 1, "void"),
        ({}, None, 4, None, None, "void"),
        ({}, 3, 5, None, None, "void"),
        ({"rolled_back": True}, 3, 4, None, None, "void"),
        ({"promoted": True}, 3, 4, None, None, "void"),
    ],
)
def test_what_becomes_of_a_re_evaluation(
    changes: dict, champion: int | None, newest: int, frozen: Freeze | None, back_days_ago: float | None, action: str
) -> None:
    back = None if back_days_ago is None else NOW - timedelta(days=back_days_ago)
    recent_actions = RecentActions(NOW, [NOW] * 9, back)
    assert re_evaluate(replace(WAITS, **changes), champion, newest, frozen, recent_actions, 7).action == action


def test_what_overtook_a_challenger_is_named() -> None:
    assert overtaken(WAITS, 3, 4) is None
    assert overtaken(WAITS, 3, 3) is None
    assert "version 4 was rolled back" in str(overtaken(replace(WAITS, rolled_back=True), 3, 4))
    assert "version 4 was promoted" in str(overtaken(replace(WAITS, promoted=True), 3, 4))
    assert "champion is version 5 by now" in str(overtaken(WAITS, 5, 4))
    assert "champion is nobody by now" in str(overtaken(WAITS, None, 4))
    assert "version 6, which is newer" in str(overtaken(WAITS, 3, 6))


def test_an_incident_that_stands_comes_before_a_re_evaluation() -> None:
    decision = re_evaluation_due(WAITS, 3, 4, 9)
    assert decision.action == "incident stands"
    assert "incident 9 comes first" in decision.reason
    assert re_evaluation_due(replace(WAITS, days_published=0), 3, 4, 9).action == "wait for data"


def test_a_second_look_says_what_it_waits_for() -> None:
    reason = re_evaluation_due(replace(WAITS, days_published=0), 3, 4, None).reason
    assert reason == ("the gate asked for 20 more days to tell version 4 from version 3; 0 have come in since")
    assert "otherwise the gate would re-evaluate version 4" in re_evaluate(WAITS, 3, 4, ANN, RecentActions(), 7).reason


MARCH = Month(2022, 3)


def age(newest: int, scheduled: int | None = None, retrained: int | None = None, found_nothing: int = 0) -> Age:
    """Months of 2022; the champion is of March."""
    return Age(
        Month(2022, newest),
        MARCH,
        Month(2022, scheduled) if scheduled else None,
        Month(2022, retrained) if retrained else None,
        found_nothing,
    )


@pytest.mark.parametrize(
    ("aged", "every", "standing", "frozen", "recent_actions", "most_per_week", "action"),
    [
        (age(4), 6, None, None, RecentActions(NOW), 2, "open incident"),
        (age(9), 6, None, None, RecentActions(), 2, "open incident"),
        (age(3), 6, None, None, RecentActions(NOW), 2, "nothing"),
        (replace(age(4), newest=None), 6, None, None, RecentActions(NOW), 2, "nothing"),
        (age(6), 0, None, None, RecentActions(NOW), 2, "nothing"),
        (age(6), 3, 8, None, RecentActions(NOW), 2, "incident stands"),
        (age(3), 3, 8, None, RecentActions(NOW), 2, "nothing"),
        (age(5, scheduled=4, found_nothing=1), 6, None, None, RecentActions(NOW), 2, "nothing"),
        (age(6, scheduled=4, found_nothing=1), 6, None, None, RecentActions(NOW), 2, "open incident"),
        (age(9, scheduled=6, found_nothing=2), 6, None, None, RecentActions(NOW), 2, "nothing"),
        (age(9, scheduled=6, found_nothing=2), 3, None, None, RecentActions(NOW), 2, "open incident"),
        (age(6, scheduled=2), 3, None, None, RecentActions(NOW), 2, "open incident"),
        (age(6, retrained=6), 3, None, None, RecentActions(NOW), 2, "nothing"),
        (age(6, retrained=7), 3, None, None, RecentActions(NOW), 2, "nothing"),
        (age(6, retrained=5), 3, None, None, RecentActions(NOW), 2, "open incident"),
        (age(6), 3, None, ANN, RecentActions(NOW), 2, "frozen"),
        (age(6), 3, None, None, RecentActions(NOW, [], NOW - timedelta(days=6.9)), 2, "cool down"),
        (age(6), 3, None, None, RecentActions(NOW, [], NOW - timedelta(days=7)), 2, "open incident"),
        (age(6), 3, None, None, RecentActions(NOW, [NOW, NOW]), 2, "cool down"),
        (age(6), 3, None, None, RecentActions(NOW, [NOW]), 2, "open incident"),
        (age(6), 3, None, None, RecentActions(NOW), 0, "cool down"),
    ],
)
def test_when_a_champion_is_refreshed(
    aged: Age,
    every: int,
    standing: int | None,
    frozen: Freeze | None,
    recent_actions: RecentActions,
    most_per_week: int,
    action: str,
) -> None:
    decision = retraining_due(aged, every, standing, frozen, recent_actions, 7, most_per_week)
    assert decision.action == action
    assert decision.reason


def test_a_refresh_says_why_it_comes_or_when() -> None:
    def told(aged: Age) -> str:
        return retraining_due(aged, 6, None, None, RecentActions(), 7, 2).reason

    assert told(age(6)) == "the champion was trained until 2022-03, and 2022-06 is at hand"
    tried = age(9, scheduled=6, found_nothing=1)
    assert "the last one was tried with 2022-06, and 2022-09 is at hand" in told(tried)
    assert told(replace(tried, newest=Month(2022, 7))) == (
        "2022-07 is the newest month that may be used, and a scheduled retraining is due with 2022-08: 2 months after "
        "2022-06, because 1 scheduled retraining of this champion promoted nothing"
    )


def scheduled_months(promotes: Callable[[int], bool], months: int, most: int = 6) -> list[int]:
    """Return the months, from 1, with which scheduled retrainings come; `promotes` says what the gate makes of each."""
    start = Month(2020, 1)
    state, came = Age(start, start), []
    for month in range(1, months + 1):
        state = replace(state, newest=start.plus(month))
        if retraining_due(state, most, None, None, RecentActions(), 7, 2).action != "open incident":
            continue
        came.append(month)
        # What the ledger says of the next champion, or of the same one.
        found_nothing = state.found_nothing + 1
        state = (
            Age(None, start.plus(month))
            if promotes(month)
            else replace(state, scheduled=state.newest, found_nothing=found_nothing)
        )
    return came


def test_in_motion_it_follows_month_by_month_and_in_calm_it_rests() -> None:
    assert scheduled_months(lambda month: True, 12) == list(range(1, 13))
    assert scheduled_months(lambda month: False, 24) == [1, 3, 7, 13, 19]
    assert scheduled_months(lambda month: False, 24, most=1) == list(range(1, 25))
    assert scheduled_months(lambda month: month >= 13, 18) == [1, 3, 7, 13, 14, 15, 16, 17, 18]


def test_a_retraining_that_is_not_worth_its_cost_waits_for_the_longest_time_and_no_longer() -> None:
    poor = replace(age(4), worth=2.0)
    assert next_scheduled(poor, 6).month == next_scheduled(poor, 6, 2.0).month == Month(2022, 4)
    assert next_scheduled(replace(poor, worth=None), 6, 10.0).month == Month(2022, 4)
    due = next_scheduled(poor, 6, 10.0)
    assert (due.month, due.reason) == (
        Month(2022, 9),
        "6 months after 2022-03, because retrainings saved 2 for each CPU second, training.budget is 10",
    )
    assert retraining_due(replace(poor, newest=Month(2022, 9)), 6, None, None, RecentActions(), 7, 2, 10.0).action == (
        "open incident"
    )
