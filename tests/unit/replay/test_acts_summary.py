import dataclasses
import json

import pytest

from autoops.replay.demo.scenario_summary import BadPromotion, BrokenMonth, ScenarioSummary, scenario_summary
from tests.unit.replay.records import (
    ACTS,
    ACTS_CHECKS,
    ACTS_ENTRIES,
    AFTER,
    BACK,
    ENTRIES,
    FORCED,
    QUARANTINE,
    acts_tally,
    incident,
)


def summed_up(entries=ACTS_ENTRIES, checks=ACTS_CHECKS, incidents=()) -> ScenarioSummary:
    found = scenario_summary(ACTS, acts_tally(), checks, [incident(), *incidents], entries)
    assert found is not None
    return found


def test_the_core_alone_has_none():
    assert scenario_summary([], acts_tally(), ACTS_CHECKS, [incident()], ACTS_ENTRIES) is None


def test_a_mistake_is_told_from_its_first_answer_to_its_rollback():
    assert summed_up().bad_promotion == BadPromotion(
        month="2023-07",
        forced_version=3,
        forced_because="<promoted>",
        replaced_version=2,
        windows=1,
        rolled_back_to=2,
        served_to_rolled_back_s=10.0,
        because="<rolled back>",
    )


def test_a_broken_month_is_told_in_the_words_of_the_monitor_and_of_the_ledger():
    assert summed_up().broken_data == BrokenMonth(
        month="2023-08",
        checks=2,
        because="kilometres, said check 24",
        incidents=0,
        quarantined="<quarantined>",
        findings=("unit change",),
        trained={4: ["2023-05", "2023-06", "2023-07"]},
    )


def test_acts_that_held_have_no_complaints_and_are_json():
    assert summed_up().complaints() == []
    assert json.loads(json.dumps(summed_up().to_json()))["broken_data"]["trained"] == {"4": AFTER[0].evidence["months"]}


TWICE = dataclasses.replace(BACK[0], id=20)
WRONG = dataclasses.replace(BACK[1], evidence={"restored": 1})
ON_IT = dataclasses.replace(AFTER[0], evidence={"force": False, "months": ["2023-07", "2023-08"]})
OPENED = dataclasses.replace(incident(), evidence_end=ACTS_CHECKS[-1].event_until)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"entries": [*ENTRIES, *QUARANTINE, *AFTER]}, "no version was forced in in 2023-07"),
        ({"entries": [*ENTRIES, *FORCED, *QUARANTINE, *AFTER]}, "version 3, which was forced in, was not rolled back"),
        ({"entries": [*ENTRIES, *FORCED, BACK[0], WRONG, *QUARANTINE, *AFTER]}, "version 1 was put back"),
        ({"entries": [*ACTS_ENTRIES, TWICE]}, "after 2 watch windows, not after one"),
        ({"checks": ACTS_CHECKS[:-2]}, "no check of live traffic found the data of 2023-08 broken"),
        ({"incidents": [OPENED]}, "opened an incident"),
        ({"entries": [*ENTRIES, *FORCED, *BACK, *AFTER]}, "2023-08 was published and not quarantined"),
        ({"entries": [*ENTRIES, *FORCED, *BACK, *QUARANTINE]}, "nothing was trained after 2023-08 came out"),
        ({"entries": [*ENTRIES, *FORCED, *BACK, *QUARANTINE, ON_IT, AFTER[1]]}, "version 4 was trained on 2023-08"),
        ({"entries": [*ENTRIES, *FORCED, *BACK, ON_IT, AFTER[1]]}, "version 4 was trained on 2023-08"),
    ],
)
def test_each_part_of_an_act_that_did_not_hold_is_named(changed, complaint):
    assert any(complaint in said for said in summed_up(**changed).complaints())


def test_a_mistake_that_answered_nobody_shows_nothing():
    bad = dataclasses.replace(summed_up().bad_promotion, served_to_rolled_back_s=None)
    assert list(bad.complaints()) == ["version 3 answered nobody before it was rolled back"]


def test_the_acts_are_told_in_a_sentence_each():
    back, live, published, trained = summed_up().sentences()
    assert "rolled back by itself after 1 watch window, 10 s after its first answer: <rolled back>" in back
    assert "2 windows of live traffic in 2023-08, 0 incidents: kilometres" in live
    assert "<quarantined>" in published
    assert "version 4" in trained
    assert "2023-05, 2023-06, 2023-07" in trained
    assert ScenarioSummary(BadPromotion("2023-07"), BrokenMonth("2023-08")).sentences() == []
