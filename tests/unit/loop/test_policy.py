from datetime import UTC, datetime, timedelta

import pytest

from autoops.loop.gate import GateDecision, GateVerdict
from autoops.loop.policy import JudgedWindow, after_promotion, decide
from autoops.settings import Drift

DRIFT = Drift(alarms_needed=2, alarms_of=3, cooldown_days=7)
START = datetime(2022, 5, 1, tzinfo=UTC)


def windows(newest_first: str) -> list[JudgedWindow]:
    """`A` is an alarm, `.` is none; a window a day, the last letter being the oldest."""
    oldest_first = [
        JudgedWindow(letter == "A", START + timedelta(days=day), START + timedelta(days=day + 1))
        for day, letter in enumerate(reversed(newest_first))
    ]
    return oldest_first[::-1]


@pytest.mark.parametrize(
    ("history", "action"),
    [
        ("", "nothing"),
        (".", "nothing"),
        ("A", "watch"),
        ("A.", "watch"),
        ("AA", "open incident"),
        ("A.A", "open incident"),
        (".AA", "nothing"),
        ("A..A", "watch"),
        ("AAA", "open incident"),
    ],
)
def test_an_incident_needs_two_alarms_among_three(history: str, action: str) -> None:
    decision = decide(windows(history), None, None, DRIFT)
    assert decision.action == action
    assert decision.reason


def test_an_incident_holds_over_the_windows_that_alarmed() -> None:
    history = windows("A.A")
    decision = decide(history, None, None, DRIFT)
    assert decision.holds_from == history[2].event_from
    assert decision.evidence_until == history[0].event_until


def test_a_standing_incident_covers_further_alarms() -> None:
    decision = decide(windows("AAA"), 4, None, DRIFT)
    assert decision.action == "incident stands"
    assert "incident 4" in decision.reason


@pytest.mark.parametrize(("days_ago", "action"), [(3, "cool down"), (7, "open incident"), (30, "open incident")])
def test_the_cool_down_counts_event_time_since_the_last_incident_began(days_ago: int, action: str) -> None:
    history = windows("AA")
    last = history[0].event_until - timedelta(days=days_ago)
    assert decide(history, None, last, DRIFT).action == action


def test_one_alarm_is_enough_where_the_settings_say_so() -> None:
    assert decide(windows("A"), None, None, Drift(alarms_needed=1, alarms_of=1)).action == "open incident"


@pytest.mark.parametrize(("ahead_days", "action"), [(1, "cool down"), (0, "open incident"), (-1, "open incident")])
def test_alarms_within_the_months_of_a_retraining_that_replaced_nothing_open_no_incident(
    ahead_days: int, action: str
) -> None:
    history = windows("AA")
    known = history[0].event_until + timedelta(days=ahead_days)
    assert decide(history, None, None, DRIFT, retrained_until=known).action == action


@pytest.mark.parametrize(("days_ago", "action"), [(6, "cool down"), (7, "open incident"), (30, "open incident")])
def test_after_a_rollback_nothing_is_retrained_for_the_cool_down(days_ago: int, action: str) -> None:
    history = windows("AA")
    back = history[0].event_until - timedelta(days=days_ago)
    assert decide(history, None, None, DRIFT, rolled_back_at=back).action == action


@pytest.mark.parametrize(
    ("verdict", "look", "action"),
    [
        ("reject", 1, "roll back"),
        ("reject", 3, "roll back"),
        ("promote", 1, "nothing"),
        ("inconclusive", 1, "watch"),
        ("inconclusive", 2, "watch"),
        ("inconclusive", 3, "nothing"),
        (None, 1, "watch"),
    ],
)
def test_what_a_look_at_a_new_champion_leads_to(verdict: GateDecision | None, look: int, action: str) -> None:
    compared = GateVerdict(verdict, "some minutes", 900, 9) if verdict else None
    decision = after_promotion(compared, look, most=3)
    assert decision.action == action
    assert decision.reason
