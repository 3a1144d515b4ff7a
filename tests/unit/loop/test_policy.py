from datetime import UTC, datetime, timedelta

import pytest

from autoops.loop.decide.gate import GateDecision, GateVerdict
from autoops.loop.decide.policy import (
    Freeze,
    JudgedWindow,
    RecentActions,
    after_promotion,
    decide,
    next_action,
    unjudged,
)
from autoops.settings import Drift

DRIFT = Drift(alarms_needed=2, alarms_of=3, cooldown_days=7)
START = datetime(2022, 5, 1, tzinfo=UTC)


def windows(newest_first: str) -> list[JudgedWindow]:
    """A letter is what alarmed, `.` is nothing; a window a day, the last letter being the oldest."""
    oldest_first = [
        JudgedWindow(frozenset(letter.strip(".")), START + timedelta(days=day), START + timedelta(days=day + 1))
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
        ("AB", "watch"),
        ("ABA", "open incident"),
        ("BAA", "watch"),
    ],
)
def test_an_incident_needs_two_alarms_among_three(history: str, action: str) -> None:
    decision = decide(windows(history), None, None, DRIFT)
    assert decision.action == action
    assert decision.reason


def looking_for(finding: str, alarmed: str) -> list[JudgedWindow]:
    """Newest first: a capital alarmed, a small letter was judged and is ordinary, `.` could not be judged."""
    return [
        JudgedWindow(
            frozenset({finding} if state.isupper() else ()),
            START - timedelta(days=day),
            START - timedelta(days=day - 1),
            frozenset() if state == "." else frozenset({finding}),
        )
        for day, state in enumerate(alarmed)
    ]


@pytest.mark.parametrize(
    ("history", "action"),
    [
        ("L....L", "open incident"),
        ("L..l..L", "open incident"),
        ("L..l..l..L", "watch"),
        ("L......", "watch"),
        (".LL", "nothing"),
    ],
)
def test_persistence_is_counted_over_the_windows_that_judged_the_finding(history: str, action: str) -> None:
    assert decide(looking_for("longer", history), None, None, DRIFT).action == action


def test_an_incident_holds_over_the_windows_that_alarmed() -> None:
    history = windows("A.A")
    decision = decide(history, None, None, DRIFT)
    assert decision.evidence_start == history[2].event_from
    assert decision.evidence_end == history[0].event_until


def test_an_incident_holds_over_the_windows_that_share_a_finding() -> None:
    newest, other, oldest = windows("A.A")
    both = JudgedWindow(frozenset("AB"), newest.event_from, newest.event_until)
    unlike = JudgedWindow(frozenset("C"), other.event_from, other.event_until)
    decision = decide([both, unlike, oldest], None, None, DRIFT)
    assert decision.evidence_start == oldest.event_from
    assert "2 of the last 3 windows alarmed for A, 2 of 3 needed" in decision.reason
    third = JudgedWindow(frozenset("B"), oldest.event_from, oldest.event_until)
    assert decide([both, unlike, third], None, None, DRIFT).evidence_start == third.event_from


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


ANN = Freeze("ann", "election day")
NOW = START + timedelta(days=30)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("published", "frozen", "recent_actions", "action"),
    [
        (True, None, RecentActions(NOW), "retrain"),
        (True, None, RecentActions(), "retrain"),
        (True, None, RecentActions(None, [ago(1)] * 9, ago(1)), "retrain"),
        (False, None, RecentActions(NOW), "wait for data"),
        (False, ANN, RecentActions(NOW), "wait for data"),
        (True, ANN, RecentActions(NOW), "frozen"),
        (True, ANN, RecentActions(NOW, [ago(1)] * 9, ago(1)), "frozen"),
        (True, None, RecentActions(NOW, [ago(1), ago(2)]), "page"),
        (True, None, RecentActions(NOW, [ago(1), ago(2), ago(3)]), "page"),
        (True, None, RecentActions(NOW, [ago(1), ago(7)]), "retrain"),
        (True, None, RecentActions(NOW, [ago(1), ago(6.9)]), "page"),
        (True, None, RecentActions(NOW, [ago(1)]), "retrain"),
        (True, None, RecentActions(NOW, [], ago(6.9)), "cool down"),
        (True, None, RecentActions(NOW, [], ago(7)), "retrain"),
        (True, None, RecentActions(NOW, [ago(1), ago(2)], ago(6.9)), "cool down"),
    ],
)
def test_what_becomes_of_an_incident(
    published: bool, frozen: Freeze | None, recent_actions: RecentActions, action: str
) -> None:
    decision = next_action(published, frozen, recent_actions, cooldown_days=7, most_per_week=2)
    assert decision.action == action
    assert decision.reason
    if action == "frozen":
        assert decision.reason.startswith("frozen by ann: election day")


def test_without_a_budget_every_retraining_is_a_persons() -> None:
    assert next_action(True, None, RecentActions(NOW), cooldown_days=7, most_per_week=0).action == "page"


def test_a_freeze_keeps_a_bad_version_and_says_what_it_holds_up() -> None:
    worse = GateVerdict("reject", "a minute worse", 900, 9)
    decision = after_promotion(worse, 1, most=3, frozen=ANN)
    assert decision.action == "frozen"
    assert "ann" in decision.reason
    assert "a minute worse" in decision.reason
    assert after_promotion(GateVerdict("inconclusive", "", 900, 9), 1, most=3, frozen=ANN).action == "watch"


@pytest.mark.parametrize(
    ("verdict", "action"),
    [
        ("broken data", "quarantine"),
        ("not enough data", "not enough data"),
        ("no new data", "nothing"),
        ("no champion", "nothing"),
    ],
)
def test_data_that_cannot_be_judged_is_a_decision_too(verdict: str, action: str) -> None:
    decision = unjudged(verdict, "so it is")
    assert decision.action == action
    assert "so it is" in decision.reason
