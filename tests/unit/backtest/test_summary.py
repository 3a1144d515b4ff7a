"""What is said of each policy."""

import pytest

from autoops.backtest.results.summary import summarise
from autoops.months import Month
from autoops.settings import Gate
from autoops.usecases.taxi.trips import NEW_YORK
from tests.unit.backtest.walks import month, retraining, simulated

GATE = Gate()
FROZEN = simulated("frozen", month("2022-04", 3.0), month("2022-05", 4.0))


def run(**walks: object) -> dict:
    return summarise(0, {"frozen": [FROZEN]} | walks, GATE)


def test_errors_are_over_all_trips_and_by_month() -> None:
    policy = run()["policies"]["frozen"]
    assert policy["mae"] == pytest.approx(3.5)
    assert [(one["month"], one["mae"], one["rows"]) for one in policy["per_month"]] == [
        ("2022-04", pytest.approx(3.0), 1000),
        ("2022-05", pytest.approx(4.0), 1000),
    ]
    assert (policy["low"], policy["high"]) == (0, 0)
    assert policy["degradation_avoided"] is None


def test_each_challenger_counts_for_what_became_of_it() -> None:
    outcomes = [retraining(decision) for decision in ("promote", "promote", "reject", "inconclusive", "failed")]
    policy = run(autoops=[simulated("autoops", month("2022-04", 3.0), month("2022-05", 3.0, *outcomes))])["policies"][
        "autoops"
    ]
    names = ("retrainings", "promoted", "rejected", "inconclusive", "failed")
    assert [policy[name] for name in names] == [5, 2, 1, 1, 1]
    assert policy["cpu_seconds"] == 4.0


def test_a_second_look_is_no_retraining_and_its_verdict_is_the_one_that_counts() -> None:
    first = [retraining("inconclusive", version=number) for number in (2, 3, 4)]
    looks = [retraining(said, version=number, kind="re-evaluation") for number, said in ((2, "promote"), (3, "reject"))]
    again = retraining("inconclusive", version=None, kind="re-evaluation")
    refresh = retraining("promote", version=5, kind="scheduled")
    walk = simulated("autoops", month("2022-04", 3.0, *first), month("2022-05", 3.0, *looks, again, refresh))
    policy = run(autoops=[walk])["policies"]["autoops"]
    names = ("retrainings", "scheduled", "re_evaluations", "promoted", "rejected", "inconclusive")
    assert [policy[name] for name in names] == [4, 1, 3, 2, 1, 1]


def test_rollbacks_are_counted_by_walk() -> None:
    walk = simulated("autoops", month("2022-04", 3.0), month("2022-05", 3.0) | {"rolled_back": 1})
    assert run(autoops=[walk])["policies"]["autoops"]["rolled_back"] == 1


def test_what_was_promoted_by_force_was_not_rejected() -> None:
    forced = retraining("reject", promoted=True)
    policy = run(monthly=[simulated("monthly", month("2022-04", 3.0, forced), month("2022-05", 3.0))])["policies"]
    assert (policy["monthly"]["promoted"], policy["monthly"]["rejected"]) == (1, 0)


def test_blind_is_the_mean_of_its_draws_with_their_spread() -> None:
    draws = [
        simulated("blind", month("2022-04", 3.0, retraining()), month("2022-05", 3.0), seed=0),
        simulated("blind", month("2022-04", 3.0), month("2022-05", 4.0), seed=1),
    ]
    policy = run(blind=draws)["policies"]["blind"]
    assert policy["mae"] == pytest.approx(3.25)
    assert policy["retrainings"] == 0.5
    assert [one["mae"] for one in policy["seeds"]] == pytest.approx([3.0, 3.5])
    assert [one["retrained_after"] for one in policy["seeds"]] == [["2022-04"], []]
    assert policy["per_month"][1]["maes"] == pytest.approx([3.0, 4.0])


def test_degradation_is_held_against_the_gate() -> None:
    better = {
        "frozen": [simulated("frozen", month("2022-04", 4.0), month("2022-05", 4.0))],
        "monthly+gate": [simulated("monthly+gate", month("2022-04", 3.0), month("2022-05", 3.0))],
        "autoops": [simulated("autoops", month("2022-04", 3.0), month("2022-05", 3.5))],
    }
    found = run(**better)
    assert found["policies"]["autoops"]["degradation_avoided"]["estimate"] == pytest.approx(0.75)
    assert found["policies"]["monthly+gate"]["degradation_avoided"]["low"] == pytest.approx(1.0)
    assert [(one["against"], one["estimate"]) for one in found["comparisons"]] == [
        ("frozen", pytest.approx(-0.75)),
        ("monthly+gate", pytest.approx(0.25)),
    ]


@pytest.mark.parametrize(
    ("detected", "at", "days"),
    [
        (True, "2022-06-01T04:00:00+00:00", (31.0, 10.0)),
        (False, "2022-06-01T04:00:00+00:00", (None, None)),
        (True, "2022-05-01T04:00:00+00:00", (None, None)),
    ],
)
def test_a_change_is_found_by_what_looks_for_it_and_after_it_was(
    detected: bool, at: str, days: tuple[float | None, float | None]
) -> None:
    found = retraining(detected=detected, at=at, evidence_end="2022-05-11T04:00:00+00:00")
    walk = simulated("autoops", month("2022-04", 3.0), month("2022-05", 3.0, found))
    policy = summarise(0, {"frozen": [FROZEN], "autoops": [walk]}, GATE, (Month(2022, 5), NEW_YORK))["policies"][
        "autoops"
    ]
    assert (policy["detection_delay_days"], policy["evidence_days"]) == days


def test_without_a_known_change_no_delay_is_claimed() -> None:
    assert "detection_delay_days" not in run()["policies"]["frozen"]
