import numpy as np
import pytest

from autoops.loop.decide.day_blocks import DayBlocks
from autoops.loop.decide.segment_verdicts import SegmentVerdict, judge_segments
from autoops.settings import Gate

GATE = Gate(segment_margin=0.1, min_segment_rows=100)
CHAMPION_MAE = 4.0
"""So 0.4 minutes are allowed."""

UP_AND_DOWN = np.array([-1, 1, -1, 1, 0, 0, -1, 1, 0, 0])
"""Deviations of ten days; their mean is 0."""


def judged(
    differences: dict[str, float], *, swing: float = 0.1, rows: int = 200, days: int = 10, gate: Gate = GATE
) -> dict[str, SegmentVerdict]:
    """Segments side by side, each of `rows` rows over `days`, whose days differ by `swing` minutes."""
    day = np.tile(np.arange(rows) % days, len(differences))
    segment = np.repeat(np.arange(len(differences)), rows)
    champion = np.full(len(day), CHAMPION_MAE)
    challenger = champion + np.array(list(differences.values()))[segment] + swing * UP_AND_DOWN[day]
    masks = {name: segment == place for place, name in enumerate(differences)}
    found = judge_segments(champion, challenger, DayBlocks(day), masks, gate)
    assert [verdict.name for verdict in found] == list(differences)
    return {verdict.name: verdict for verdict in found}


@pytest.mark.parametrize(
    ("difference", "decision"),
    [(-1.0, "within margin"), (0.0, "within margin"), (0.39, "within margin"), (0.41, "in doubt"), (0.8, "worse")],
)
def test_a_segment_is_judged_by_its_estimate_and_its_bound(difference: float, decision: str) -> None:
    found = judged({"night": difference})["night"]
    assert found.decision == decision
    assert found.difference == pytest.approx(difference)
    assert found.champion_mae == CHAMPION_MAE
    assert found.challenger_mae == pytest.approx(CHAMPION_MAE + difference)
    assert found.margin == pytest.approx(0.4)
    assert found.low < found.difference < found.high
    assert (found.rows, found.days) == (200, 10)


def test_the_bound_decides_and_not_the_estimate() -> None:
    """The same difference is worse where days agree, and in doubt where they do not."""
    sure, unsure = judged({"a": 0.6}, swing=0.05)["a"], judged({"a": 0.6}, swing=0.8)["a"]
    assert (sure.decision, unsure.decision) == ("worse", "in doubt")
    assert sure.low > sure.margin > unsure.low


def test_on_the_margin_is_within_it() -> None:
    flat = judged({"a": 0.4}, swing=0.0, gate=GATE.model_copy(update={"segment_margin": 0.1000001}))["a"]
    assert flat.decision == "within margin"
    assert judged({"a": 0.5}, swing=0.0, gate=GATE.model_copy(update={"segment_margin": 0.125}))["a"].decision == (
        "within margin"
    )


def test_the_margin_is_a_share_of_the_champions_error_in_the_segment() -> None:
    day = np.tile(np.arange(10), 20)
    short = np.repeat([True, False], 100)
    champion = np.where(short, 1.0, 10.0)
    found = judge_segments(champion, champion + 0.5, DayBlocks(day), {"short": short, "long": ~short}, GATE)
    assert [(verdict.decision, verdict.margin) for verdict in found] == [
        ("worse", pytest.approx(0.1)),
        ("within margin", pytest.approx(1.0)),
    ]


@pytest.mark.parametrize(
    ("rows", "days", "decision"),
    [(100, 10, "worse"), (99, 10, "not judged"), (200, 5, "worse"), (200, 4, "not judged")],
)
def test_too_few_rows_or_days_are_not_judged_and_say_how_many_there_are(rows: int, days: int, decision: str) -> None:
    found = judged({"night": 2.0}, rows=rows, days=days)["night"]
    assert found.decision == decision
    assert (found.rows, found.days) == (rows, days)
    if decision == "not judged":
        assert found == SegmentVerdict("night", "not judged", rows, days)
        assert found.told(" min") == f"night not judged: {rows} rows of {days} days"


def test_the_more_segments_are_judged_the_surer_each_has_to_be() -> None:
    alone = judged({"a": 0.5})["a"]
    among = judged({"a": 0.5} | {f"other {number}": 0.0 for number in range(7)})["a"]
    assert among.low < alone.low < alone.difference == pytest.approx(among.difference)
    assert among.high > alone.high > alone.difference


def test_the_errors_probability_is_shared_by_those_that_are_judged() -> None:
    """Two judged segments: the bounds are those of 0.025 on either side, whatever else is not judged."""
    both = judged({"a": 0.5, "b": 0.5})["a"]
    alone = judged({"a": 0.5}, gate=GATE.model_copy(update={"confidence": 0.975}))["a"]
    assert (both.low, both.high) == pytest.approx((alone.low, alone.high))

    day = np.tile(np.arange(10), 50)
    few = np.arange(500) < 50
    champion = np.full(500, CHAMPION_MAE)
    challenger = champion + 0.5 + 0.1 * UP_AND_DOWN[day]
    blocks = DayBlocks(day)
    with_few = judge_segments(champion, challenger, blocks, {"few": few, "a": ~few}, GATE)
    without = judge_segments(champion, challenger, blocks, {"a": ~few}, GATE)
    assert [verdict.decision for verdict in with_few] == ["not judged", "worse"]
    assert with_few[1] == without[0]


def test_none_or_only_small_segments_are_no_error() -> None:
    assert judged({"a": 9.0}, rows=50)["a"].decision == "not judged"
    errors = np.ones(10)
    assert judge_segments(errors, errors, DayBlocks(np.arange(10)), {}, GATE) == ()


def test_doubt_says_how_many_days_would_make_it_worse() -> None:
    near, far = judged({"a": 0.55}, swing=0.5)["a"], judged({"a": 0.402}, swing=0.5)["a"]
    assert (near.decision, far.decision) == ("in doubt", "in doubt")
    assert near.days_needed is not None
    assert near.days_needed > 1
    assert far.days_needed is None
    assert judged({"a": 2.0})["a"].days_needed is None
    assert judged({"a": -2.0})["a"].days_needed is None


@pytest.mark.parametrize("decision", ["worse", "in doubt", "within margin"])
def test_a_reason_names_the_segment_and_its_figures(decision: str) -> None:
    verdict = SegmentVerdict("night", decision, 321, 7, 4.0, 5.0, 1.0, 0.51, 1.49, 0.2)
    assert verdict.told(" min") == f"night {decision}: +1.000 min, +0.510 to +1.490, allowed are +0.200, on 321 rows"
