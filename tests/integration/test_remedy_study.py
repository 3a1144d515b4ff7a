"""The right remedy, in one city and for some of the changes: `benchmarks/remedies.py` is the whole study."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.remedies import play, summarised
from benchmarks.remedy_cases import CASES, Case, Played, right

TRIPS = 9_000
BY_SCENARIO = {case.scenario: case for case in CASES}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("remedies")


@pytest.mark.study
@pytest.mark.parametrize("scenario", ["steady", "zones", "outskirts", "speed", "nulls"])
def test_each_change_gets_its_remedy(scenario: str, workspace: Path) -> None:
    case = BY_SCENARIO[scenario]
    played = play(case, 1, TRIPS, workspace)
    assert right(case, played), (played.remedy, played.reasons)
    assert bool(played.promoted) == (case.right == "retrain and promote")
    assert (played.moved > 0.9) == (scenario == "zones"), "a harmless mix is a test only while inputs do move"


NOTHING = Played(
    case="",
    seed=1,
    quarantined=[],
    incidents_until=[],
    retrainings=[],
    promoted=0,
    rolled_back=0,
    pages=0,
    moved=0.0,
    before=3.0,
    after=3.0,
    next_retraining=["2023-05", "2023-06", "2023-07"],
    reasons=[],
)
REJECTED = replace(NOTHING, incidents_until=["2023-05-21T12:00:00+00:00"], retrainings=["retrain, reject"])
PROMOTED = replace(REJECTED, retrainings=["retrain, promoted"], promoted=1, after=2.5)
QUARANTINED = replace(NOTHING, quarantined=["2023-05"], pages=1, next_retraining=["2023-04", "2023-06", "2023-07"])


def test_what_came_is_said_in_words() -> None:
    both = replace(
        REJECTED,
        quarantined=["2023-05"],
        retrainings=["retrain, inconclusive", "re-evaluation, promoted"],
        rolled_back=1,
    )
    said = "quarantine of 2023-05; retrain, inconclusive; re-evaluation, promoted; roll back"
    assert (NOTHING.remedy, both.remedy) == ("nothing", said)
    assert replace(REJECTED, retrainings=[]).remedy == "incident, no retraining"


@pytest.mark.parametrize("scenario", ["steady", "zones", "bad_day"])
@pytest.mark.parametrize(
    "played", [REJECTED, PROMOTED, QUARANTINED, replace(REJECTED, retrainings=[]), replace(NOTHING, pages=1)]
)
def test_anything_is_wrong_where_nothing_is_right(scenario: str, played: Played) -> None:
    assert right(BY_SCENARIO[scenario], NOTHING)
    assert not right(BY_SCENARIO[scenario], played)


@pytest.mark.parametrize("scenario", ["outskirts", "speed", "slow"])
@pytest.mark.parametrize(
    "played",
    [
        NOTHING,
        REJECTED,
        QUARANTINED,
        replace(PROMOTED, after=3.1),
        replace(PROMOTED, rolled_back=1),
        replace(PROMOTED, quarantined=["2023-05"]),
        replace(PROMOTED, incidents_until=["2023-04-21T12:00:00+00:00", *PROMOTED.incidents_until]),
    ],
)
def test_a_change_that_hurts_is_healed_by_a_better_model_alone_and_not_before_it_begins(
    scenario: str, played: Played
) -> None:
    assert right(BY_SCENARIO[scenario], PROMOTED)
    assert not right(BY_SCENARIO[scenario], played)


def test_what_no_model_takes_back_is_looked_into_and_left_to_the_gate() -> None:
    case = BY_SCENARIO["mix"]
    assert right(case, REJECTED)
    assert right(case, PROMOTED)
    assert not right(case, NOTHING)
    assert not right(case, replace(PROMOTED, after=3.1))


@pytest.mark.parametrize("scenario", ["unit", "nulls", "collapse"])
@pytest.mark.parametrize(
    "played",
    [
        NOTHING,
        REJECTED,
        replace(QUARANTINED, quarantined=["2023-05", "2023-06"]),
        replace(QUARANTINED, pages=0),
        replace(QUARANTINED, incidents_until=["2023-05-21T12:00:00+00:00"]),
        replace(QUARANTINED, next_retraining=["2023-05", "2023-06", "2023-07"]),
    ],
)
def test_broken_data_is_quarantined_and_nothing_else(scenario: str, played: Played) -> None:
    assert right(BY_SCENARIO[scenario], QUARANTINED)
    assert not right(BY_SCENARIO[scenario], played)


def test_a_summary_counts_what_was_right_and_what_came_instead() -> None:
    case = Case("quarter slower", "speed", "retrain and promote")
    found = summarised(case, [PROMOTED, PROMOTED, REJECTED])
    assert found["right_runs"] == 2
    assert found["came"] == {"retrain, promoted": 2, "retrain, reject": 1}
    assert found["error_after_promotion"] == pytest.approx(2.5 / 3 - 1)
    assert [run["right"] for run in found["runs"]] == [True, True, False]
