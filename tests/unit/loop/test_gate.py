import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.loop.decide import gate as module
from autoops.loop.decide.day_blocks import MIN_DAYS
from autoops.loop.decide.gate import GateVerdict, ServingCost, at_look, unit_of
from autoops.settings import Gate
from tests.taxi import CONTRACT

decide = partial(module.decide, unit=unit_of(CONTRACT))
GATE = Gate()
MOST_MB = 200.0
SMALL = ServingCost(model_mb=MOST_MB, latency_ms=GATE.max_latency_ms)
"""Just within both budgets."""


def paired(shift: float, rows: int = 2_000, day_sd: float = 0.0, seed: int = 0):
    """Errors of a champion and of a challenger that is `shift` minutes worse, over ten days."""
    rng = np.random.default_rng(seed)
    days = np.repeat(np.arange(10), rows // 10)
    champion = rng.gamma(2, 1.4, rows)
    challenger = champion + shift + rng.normal(0, 0.3, rows) + rng.normal(0, day_sd, 10)[days]
    return champion, challenger, days


def flat(difference: float, rows: int = 2_000, days: int = 10):
    """Errors of 4 and 4 + `difference` minutes that swing a little by the row, and not by the day."""
    day = np.arange(rows) % days
    champion = np.full(rows, 4.0)
    return champion, champion + difference + np.where(np.arange(rows) // days % 2, 0.01, -0.01), day


def in_part(differences: list[float], swing: float = 0.01):
    """Ten days, and as many equal segments as there are differences, whose days swing by so many minutes."""
    segment = np.repeat(np.arange(len(differences)), 600)
    day = np.tile(np.arange(10), 60 * len(differences))
    champion = np.full(len(day), 4.0)
    challenger = champion + np.array(differences)[segment] + swing * (day % 2 * 2 - 1)
    return (champion, challenger, day), {f"part {n}": segment == n for n in range(len(differences))}


def test_a_clearly_better_challenger_is_promoted_with_its_interval() -> None:
    verdict = decide(*paired(-0.3), GATE)
    assert verdict.decision == "promote"
    assert verdict.low is not None
    assert verdict.low < verdict.difference < verdict.high < 0
    assert verdict.challenger_mae - verdict.champion_mae == pytest.approx(verdict.difference)
    assert verdict.rows == 2_000
    assert verdict.days == 10
    assert "better than the champion" in verdict.reason
    assert (verdict.settled_by, verdict.days_needed) == (None, None)


def test_a_clearly_worse_challenger_is_rejected() -> None:
    verdict = decide(*paired(+0.3), GATE)
    assert verdict.decision == "reject"
    assert verdict.low > 0
    assert "worse than the champion" in verdict.reason
    assert (verdict.settled_by, verdict.days_needed) == (None, None)


def test_a_difference_within_the_variation_of_days_is_inconclusive() -> None:
    """Rows alone would call this significant; whole days do not."""
    verdict = decide(*paired(-0.1, day_sd=0.5, seed=3), GATE)
    assert verdict.decision == "inconclusive"
    assert verdict.low < 0 < verdict.high
    assert "not distinguishable from the champion" in verdict.reason


def test_the_reason_has_the_figures_and_what_was_compared_with() -> None:
    verdict = decide(*flat(-1.0), Gate(confidence=0.9), against="median baseline")
    assert verdict.reason == (
        "better than the median baseline beyond chance: -1.000 min of absolute error, 90% interval -1.000 to -1.000, "
        "on 2000 unseen rows of 10 days"
    )


def test_an_interval_that_touches_zero_says_nothing() -> None:
    champion, _, days = flat(0)
    assert decide(champion, champion, days, GATE).decision == "inconclusive"


def test_each_side_of_the_interval_errs_in_half_of_what_confidence_leaves() -> None:
    """The overall difference is judged from both sides, one segment that is all rows from one side only."""
    errors = paired(-0.1, day_sd=0.2)
    whole = {"all": np.ones(2_000, dtype=bool)}
    overall = decide(*errors, GATE.model_copy(update={"confidence": 0.9}))
    segment = decide(*errors, GATE.model_copy(update={"confidence": 0.95}), segments=whole).segments[0]
    assert (overall.low, overall.high) == pytest.approx((segment.low, segment.high))


def test_no_unseen_row_means_holdout_seen() -> None:
    nothing = np.array([])
    verdict = decide(nothing, nothing, nothing, GATE)
    assert (verdict.decision, verdict.rows, verdict.days) == ("inconclusive", 0, 0)
    assert "holdout seen" in verdict.reason
    assert verdict.settled_by == "5 days with 500 rows that neither model was trained on"
    assert verdict.days_needed == MIN_DAYS


@pytest.mark.parametrize(
    ("rows", "days", "days_needed"),
    [
        (GATE.min_rows - 1, 10, 1),
        (GATE.min_rows - 50, 10, 2),
        (100, 10, 40),
        (5_000, MIN_DAYS - 1, 1),
        (5_000, 1, 4),
        (120, 3, 10),
        (400, 2, 3),
    ],
)
def test_too_few_rows_or_days_are_inconclusive_however_large_the_difference(
    rows: int, days: int, days_needed: int
) -> None:
    champion = np.full(rows, 9.0)
    verdict = decide(champion, champion - 5, np.arange(rows) % days, GATE)
    assert verdict.decision == "inconclusive"
    assert (verdict.rows, verdict.days) == (rows, days)
    worth = f", which are worth {days}.0" if days < 3 else ""
    assert (
        verdict.reason
        == f"{rows} unseen rows of {days} day{'s' if days > 1 else ''}{worth}, needed are 500 rows of 5 days"
    )
    assert verdict.difference is None
    assert verdict.days_needed == days_needed
    assert verdict.settled_by == (
        f"{days_needed} more day{'s' if days_needed > 1 else ''} of rows that neither model was trained on, "
        "as full as these"
    )


def test_enough_is_enough() -> None:
    champion, challenger, days = flat(-5, rows=GATE.min_rows, days=MIN_DAYS)
    assert decide(champion, challenger, days, GATE).decision == "promote"


def test_days_of_which_one_holds_nearly_all_rows_are_too_few() -> None:
    days = np.repeat(np.arange(6), [995, 1, 1, 1, 1, 1])
    champion = np.full(1_000, 9.0)
    verdict = decide(champion, champion - 5, days, GATE)
    assert verdict.decision == "inconclusive"
    assert verdict.reason == ("1000 unseen rows of 1 day, which are worth 1.0, needed are 500 rows of 5 days")
    assert verdict.days_needed == 4


@pytest.mark.parametrize(
    ("differences", "swing", "decision", "decisions"),
    [
        ([-0.5, -0.5, -0.5], 0.01, "promote", ["within margin"] * 3),
        ([-0.5, -0.5, +0.15], 0.01, "promote", ["within margin"] * 3),
        ([-0.5, -0.5, +0.3], 0.01, "reject", ["within margin", "within margin", "worse"]),
        ([-1.5, -1.5, +0.25], 0.1, "inconclusive", ["within margin", "within margin", "in doubt"]),
        ([-3.5, +0.25, +0.9], 0.1, "reject", ["within margin", "in doubt", "worse"]),
        ([+0.5, +0.5, -0.5], 0.01, "reject", ["worse", "worse", "within margin"]),
        ([+0.25, +0.15, +0.15], 0.1, "reject", ["in doubt", "within margin", "within margin"]),
        ([+0.05, +0.05, +0.05], 0.01, "reject", ["within margin"] * 3),
        ([-0.5, +0.5, 0.0], 0.01, "reject", ["within margin", "worse", "within margin"]),
        ([-0.25, +0.25, 0.0], 0.1, "inconclusive", ["within margin", "in doubt", "within margin"]),
    ],
)
def test_promotion_needs_no_segment_worse_or_in_doubt(
    differences: list[float], swing: float, decision: str, decisions: list[str]
) -> None:
    """Of the champion's 4 minutes, 0.2 are allowed."""
    errors, segments = in_part(differences, swing)
    verdict = decide(*errors, GATE, segments=segments)
    assert verdict.decision == decision
    assert [segment.decision for segment in verdict.segments] == decisions
    for segment in verdict.segments:
        assert (segment.name in verdict.reason) == (segment.decision in ("worse", "in doubt"))


def test_a_worse_segment_is_named_with_its_figures_beside_the_overall_difference() -> None:
    errors, segments = in_part([-0.5, -0.5, +0.3])
    verdict = decide(*errors, GATE, segments=segments)
    overall, segment = verdict.reason.split("; ")
    assert overall.startswith("better than the champion beyond chance: -0.233 min")
    assert segment.startswith("part 2 worse: +0.300 min")
    assert (verdict.settled_by, verdict.days_needed) == (None, None)


def test_a_segment_that_could_not_be_judged_is_named_and_holds_nothing_up() -> None:
    errors, segments = in_part([-0.5, -0.5])
    few = np.arange(1_200) < 100
    verdict = decide(*errors, GATE, segments=segments | {"few": few})
    assert verdict.decision == "promote"
    assert verdict.reason.endswith("; few not judged: 100 rows of 10 days")


def test_without_segments_the_overall_error_decides_alone() -> None:
    errors, _ = in_part([-0.5, -0.5, +0.3])
    assert decide(*errors, GATE).decision == "promote"
    assert decide(*errors, GATE).segments == ()


@pytest.mark.parametrize(
    ("differences", "then"),
    [([-0.06], "promoted"), ([+0.06], "rejected")],
)
def test_an_inconclusive_verdict_says_what_would_settle_it(differences: list[float], then: str) -> None:
    errors, _ = in_part(differences, swing=0.1)
    verdict = decide(*errors, GATE)
    assert verdict.decision == "inconclusive"
    assert 1 < verdict.days_needed < 20
    assert verdict.settled_by == (
        f"{verdict.days_needed} more days of rows that neither model was trained on: if the difference stays at "
        f"{differences[0]:+.3f} min, the challenger is then {then}"
    )


def test_a_difference_of_about_zero_is_settled_by_no_realistic_number_of_days() -> None:
    errors, _ = in_part([0.001], swing=0.5)
    verdict = decide(*errors, GATE)
    assert verdict.days_needed is None
    assert verdict.settled_by == (
        "no realistic number of days: a difference of +0.001 min would take more than 90 to show"
    )


def test_doubt_about_a_segment_is_settled_when_the_first_one_is() -> None:
    errors, segments = in_part([-3.0, +0.26, +0.29, +0.28], swing=0.1)
    verdict = decide(*errors, GATE, segments=segments)
    assert verdict.decision == "inconclusive"
    assert [segment.decision for segment in verdict.segments[1:]] == ["in doubt"] * 3
    assert all(f"part {number} in doubt: +0.2" in verdict.reason for number in (1, 2, 3))
    assert verdict.days_needed == verdict.segments[2].days_needed < verdict.segments[3].days_needed
    assert verdict.settled_by == (
        f"{verdict.days_needed} more days of rows that neither model was trained on: if the difference stays at "
        "+0.290 min in part 2, the challenger is then rejected"
    )


def test_doubt_so_close_to_the_margin_is_never_settled() -> None:
    errors, segments = in_part([-3.0, +0.2001, +0.2002], swing=0.1)
    verdict = decide(*errors, GATE, segments=segments)
    assert verdict.decision == "inconclusive"
    assert verdict.days_needed is None
    assert verdict.settled_by.startswith("no realistic number of days: a difference of +0.200 min in part 1 would")


def test_one_segment_that_can_be_settled_is_enough() -> None:
    errors, segments = in_part([-3.0, +0.2001, +0.27], swing=0.1)
    verdict = decide(*errors, GATE, segments=segments)
    assert [segment.days_needed for segment in verdict.segments] == [None, None, verdict.days_needed]
    assert "+0.270 min in part 2" in verdict.settled_by


def test_where_the_overall_difference_is_open_it_is_what_is_waited_for() -> None:
    errors, segments = in_part([-0.4, +0.25], swing=0.1)
    verdict = decide(*errors, GATE, segments=segments)
    assert (verdict.decision, verdict.segments[1].decision) == ("inconclusive", "in doubt")
    assert "-0.075 min, the challenger is then promoted" in verdict.settled_by


LARGE = "the model has 200.1 MB, serving.max_model_mb is 200"
SLOW = "one trip takes 2.01 ms, gate.max_latency_ms is 2"


@pytest.mark.parametrize(
    ("serving_cost", "reasons"),
    [
        (SMALL, []),
        (ServingCost(0.1, 0.1), []),
        (replace(SMALL, model_mb=200.1), [LARGE]),
        (replace(SMALL, latency_ms=2.01), [SLOW]),
        (ServingCost(200.1, 2.01), [LARGE, SLOW]),
    ],
)
@pytest.mark.parametrize("difference", [-0.5, 0.5, 0.0])
def test_over_budget_is_rejected_whatever_the_errors_say(
    serving_cost: ServingCost, reasons: list[str], difference: float
) -> None:
    errors = flat(difference)
    alone, verdict = decide(*errors, GATE), decide(*errors, GATE, serving_cost=serving_cost, max_model_mb=MOST_MB)
    assert (verdict.model_mb, verdict.latency_ms) == (serving_cost.model_mb, serving_cost.latency_ms)
    if not reasons:
        assert verdict == replace(alone, model_mb=serving_cost.model_mb, latency_ms=serving_cost.latency_ms)
        return
    assert verdict.decision == "reject"
    assert verdict.reason == "; ".join([*reasons, alone.reason])
    assert (verdict.settled_by, verdict.days_needed) == (None, None)
    assert (verdict.difference, verdict.low, verdict.high) == (alone.difference, alone.low, alone.high)


def test_over_budget_no_rows_are_waited_for() -> None:
    nothing = np.array([])
    verdict = decide(nothing, nothing, nothing, GATE, serving_cost=replace(SMALL, model_mb=201), max_model_mb=MOST_MB)
    assert verdict.decision == "reject"
    assert (verdict.settled_by, verdict.days_needed) == (None, None)


def test_the_verdict_is_flat_json_with_a_list_of_segments() -> None:
    errors, segments = in_part([-0.5, -0.5, +0.3])
    content = decide(*errors, GATE, segments=segments, serving_cost=SMALL).to_json()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content.keys() >= {
        *("decision", "reason", "rows", "days", "champion_mae", "challenger_mae", "difference", "low", "high"),
        *("model_mb", "latency_ms", "settled_by", "days_needed"),
    }
    assert [segment["name"] for segment in content["segments"]] == ["part 0", "part 1", "part 2"]
    assert content["segments"][2]["decision"] == "worse"
    assert GateVerdict("promote", "", 0, 0).to_json()["segments"] == []


@given(st.floats(-1, 1), st.integers(0, 50))
def test_swapping_the_models_mirrors_the_verdict(shift: float, seed: int) -> None:
    champion, challenger, days = paired(shift, rows=600, day_sd=0.2, seed=seed)
    there, back = decide(champion, challenger, days, GATE), decide(challenger, champion, days, GATE)
    assert back.difference == pytest.approx(-there.difference)
    mirror = {"promote": "reject", "reject": "promote", "inconclusive": "inconclusive"}
    assert back.decision == mirror[there.decision]
    assert back.days_needed == there.days_needed


@given(st.integers(0, 100))
def test_a_model_against_itself_is_never_promoted(seed: int) -> None:
    champion, _, days = paired(0, rows=600, seed=seed)
    verdict = decide(champion, champion, days, GATE)
    assert verdict.decision == "inconclusive"
    assert verdict.days_needed is None


@given(st.integers(0, 20))
def test_the_order_of_the_rows_does_not_matter(seed: int) -> None:
    champion, challenger, days = paired(-0.1, rows=600, day_sd=0.2, seed=seed)
    order = np.random.default_rng(seed).permutation(len(days))
    first, second = (
        decide(champion, challenger, days, GATE),
        decide(champion[order], challenger[order], days[order], GATE),
    )
    assert first.decision == second.decision
    assert first.low == pytest.approx(second.low)


@pytest.mark.parametrize(("look", "error"), [(1, 0.05), (2, 0.025), (3, 0.0125)])
def test_each_look_at_a_challenger_has_half_of_the_error_probability_of_the_one_before(look: int, error: float) -> None:
    gate = Gate(confidence=0.95, min_rows=7)
    assert at_look(gate, look).confidence == pytest.approx(1 - error)
    assert at_look(gate, look).min_rows == 7


def test_a_week_of_a_sparse_table_is_enough_for_a_verdict() -> None:
    hourly = paired(-0.5, rows=240, day_sd=0.05)
    assert decide(*hourly, GATE).decision == "inconclusive"
    assert decide(*hourly, module.of_cadence(GATE, 24)).decision == "promote"
    few = [part[:90] for part in hourly]
    assert "90 unseen rows of 4 days, needed are 120 rows of 5 days" in decide(*few, module.of_cadence(GATE, 24)).reason


@pytest.mark.parametrize("rows_per_day", [None, 100, 2_000])
def test_other_tables_have_the_gate_that_is_set(rows_per_day: float | None) -> None:
    assert module.of_cadence(GATE, rows_per_day) == GATE
