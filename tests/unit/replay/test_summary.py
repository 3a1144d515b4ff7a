import dataclasses

import pytest

from autoops.replay.demo.scenario_summary import scenario_summary
from autoops.replay.demo.summary import SAMPLE, Step, Summary, alarm_to_served_s, incident_months, parts_of
from tests.taxi import CONTRACT
from tests.unit.replay.records import (
    ACTS,
    ACTS_CHECKS,
    ACTS_ENTRIES,
    CHECKS,
    ENTRIES,
    acts_tally,
    incident,
    tally,
)

STEADY = Step("2023-04", 240, 1, 2.0, False, "no drift", None)
CHANGED = Step("2023-05", 240, 1, 5.0, True, "drift", "promote")
WAITING = Step("2023-06", 60, 1, 5.0, False, "not enough data", None)
HEALED = Step("2023-06", 240, 2, 3.0, False, "no drift", None)
HELD = Summary(SAMPLE, (STEADY, CHANGED, WAITING, HEALED), 2, 2, 900, 0, 55.0, 300.0)
ACTS_HELD = scenario_summary(ACTS, acts_tally(), ACTS_CHECKS, [], ACTS_ENTRIES)
IN_KILOMETRES = Step("2023-08", 27, 2, 3.0, False, "broken data", None)
FORCED_IN = Step("2023-07", 11, 3, 3.0, True, "drift", None)
WITH_ACTS = dataclasses.replace(HELD, acts=ACTS_HELD, scenario_parts=(FORCED_IN, IN_KILOMETRES))


def test_parts_hold_errors_verdicts_and_the_gates_decision_where_they_belong():
    assert parts_of(tally(), CHECKS, [incident()], ENTRIES) == (STEADY, CHANGED, WAITING, HEALED)


def test_a_month_is_reported_for_the_version_that_answered_most_of_it():
    assert HELD.steps == (STEADY, CHANGED, HEALED)


def test_summary_json_has_the_keys_that_readers_count_on():
    told = HELD.to_json()
    assert list(told) == [
        *("source", "steps", "champion_version", "served_version", "requests", "failed_requests"),
        *("alarm_to_served_s", "wall_s"),
    ]
    assert list(told["steps"][0]) == ["month", "rows", "model_version", "mae", "alarm", "verdict", "decision"]


def test_summary_json_of_all_acts_adds_one_key_and_changes_no_other():
    told, core = WITH_ACTS.to_json(), HELD.to_json()
    assert list(told) == [*core, "acts"]
    assert {name: told[name] for name in core} == core
    assert list(told["acts"]) == ["bad_promotion", "broken_data", "steps"]
    assert [(step["month"], step["model_version"]) for step in told["acts"]["steps"]] == [
        ("2023-07", 3),
        ("2023-08", 2),
    ]


def test_the_core_is_held_against_the_version_that_healed_whatever_came_after():
    later = dataclasses.replace(WITH_ACTS, champion_version=4, served_version=4)
    assert (WITH_ACTS.healed_version, later.healed_version) == (2, 2)
    assert WITH_ACTS.complaints() == later.complaints() == []


def test_an_act_that_did_not_hold_is_named():
    kept = dataclasses.replace(ACTS_HELD.bad_promotion, rolled_back_to=None)
    failed = dataclasses.replace(WITH_ACTS, acts=dataclasses.replace(ACTS_HELD, bad_promotion=kept))
    assert failed.complaints() == ["version 3, which was forced in, was not rolled back"]


def test_a_month_with_a_window_of_broken_data_is_broken():
    broken = parts_of(acts_tally(), ACTS_CHECKS, [], [])[-1]
    assert (broken.month, broken.model_version, broken.alarm, broken.verdict) == ("2023-08", 2, False, "broken data")
    alarmed = [*ACTS_CHECKS, dataclasses.replace(ACTS_CHECKS[-1], verdict="no drift")]
    assert parts_of(acts_tally(), alarmed, [], [])[-1].verdict == "broken data"


def test_a_story_that_held_has_no_complaints():
    assert HELD.complaints() == []


def test_an_alarm_that_wakes_nobody_is_no_false_alarm():
    alarmed = dataclasses.replace(STEADY, alarm=True, verdict="drift")
    assert dataclasses.replace(HELD, parts=(alarmed, CHANGED, HEALED)).complaints() == []


def test_incidents_belong_to_the_month_in_which_their_evidence_ends():
    assert incident_months([incident(), incident("manual")], CONTRACT.zone) == ("2023-05",)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"failed_requests": 3}, "3 of 900 requests failed"),
        ({"served_version": 1}, "version 1 is served, version 2 is champion"),
        ({"incident_months": ("2023-04", "2023-05")}, "an incident in the steady month 2023-04"),
        ({"parts": (dataclasses.replace(STEADY, verdict="not enough data"), CHANGED, HEALED)}, "not judged"),
        ({"parts": (STEADY, dataclasses.replace(CHANGED, alarm=False), HEALED)}, "no alarm in the changed month"),
        (
            {"parts": (STEADY, dataclasses.replace(CHANGED, decision="reject"), HEALED)},
            "decision on 2023-05 was reject",
        ),
        ({"parts": (STEADY, CHANGED, dataclasses.replace(HEALED, mae=5.1))}, "did not recover: 5.10 after 5.00"),
        ({"parts": (STEADY, CHANGED, WAITING)}, "2023-06 was answered by version 1"),
        ({"champion_version": 1, "served_version": 1}, "champion is still version 1"),
    ],
)
def test_each_part_of_the_story_that_did_not_hold_is_named(change, complaint):
    assert any(complaint in said for said in dataclasses.replace(HELD, **change).complaints())


def test_real_months_may_bring_what_they_will_but_requests_must_not_fail():
    told = dataclasses.replace(HELD, source="months/", parts=(dataclasses.replace(STEADY, alarm=True),))
    assert told.complaints() == []
    assert dataclasses.replace(told, failed_requests=1).complaints() != []


def test_alarm_to_served_runs_from_the_first_alarm_to_the_first_answer():
    came = tally().first_answers[2].answered_at - CHECKS[1].checked_at
    assert alarm_to_served_s(tally(), CHECKS, [incident()], ENTRIES) == came.total_seconds()


def test_no_promotion_no_time_to_it():
    assert alarm_to_served_s(tally(), CHECKS, [incident()], ENTRIES[:-1]) is None
    assert alarm_to_served_s(tally(), CHECKS, [incident("manual")], ENTRIES) is None


def test_a_change_may_be_decided_on_in_a_later_month():
    unnoticed = dataclasses.replace(CHANGED, alarm=False, decision=None)
    decided = dataclasses.replace(CHANGED, month="2023-06")
    last = dataclasses.replace(HEALED, month="2023-07")
    summary = dataclasses.replace(HELD, parts=(STEADY, unnoticed, decided, last))
    assert (summary.changed, summary.complaints()) == (decided, [])
