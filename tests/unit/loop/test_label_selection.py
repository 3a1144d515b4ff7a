"""Whether labelled rows are like the others, on made-up trips of which long ones are labelled less often."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from autoops.drift.verdict import CANNOT_TELL, DetectorResult, DriftVerdict, judged_findings
from autoops.loop.data.label_coverage import Bin, Coverage
from autoops.loop.monitor.label_selection import Selection, agreed, selection_of
from autoops.usecase.columns import PREDICTION, TARGET

Values = npt.NDArray[np.float64]
Labelled = Callable[[Values, Values], Values]
BINS = (Bin(2, 200, 190), Bin(6, 200, 180), Bin(9, 200, 150), Bin(12, 200, 100), Bin(17, 200, 60))


def coverage(bins: tuple[Bin, ...]) -> Coverage:
    return Coverage(0.68, 0.68, 3600, False, bins)


def world(labelled: Labelled, slower: float, seed: int = 0) -> tuple[pd.DataFrame, Selection | None]:
    """Labelled trips that take `slower` times as long, and what 1,000 predictions say about their labels."""
    rng = np.random.default_rng(seed)
    truth = np.exp(rng.normal(2.3, 0.6, 4_000))
    predicted = np.exp(2.3 + 0.75 * (np.log(truth) - 2.3) + rng.normal(0, 0.25, 4_000))
    truth *= slower
    known = rng.random(4_000) < labelled(predicted, truth)
    lows = np.quantile(predicted[:1_000], [0, 0.2, 0.4, 0.6, 0.8])
    place = np.searchsorted(lows, predicted[:1_000], side="right") - 1
    counts = (np.bincount(place), np.bincount(place, known[:1_000]))
    found = selection_of(coverage(tuple(Bin(*one) for one in zip(lows.tolist(), *map(list, counts), strict=True))))
    rows = pd.DataFrame({PREDICTION: predicted, TARGET: truth})[1_000:]
    return rows[known[1_000:]], found


def level(rows: pd.DataFrame) -> float:
    return float(np.median(np.log(rows[TARGET] / rows[PREDICTION])))


def by_prediction(predicted: Values, _truth: Values) -> Values:
    return np.where(predicted > 12, 0.3, 0.95)


def by_truth(_predicted: Values, truth: Values) -> Values:
    return np.where(truth > 12, 0.3, 0.95)


@pytest.mark.parametrize("slower", [1.0, 1.25])
@pytest.mark.parametrize(("labelled", "right"), [(by_prediction, 0), (by_truth, 1)])
def test_the_reading_of_the_right_cause_has_the_level_of_all_rows(
    labelled: Labelled, right: int, slower: float
) -> None:
    rows, selection = world(labelled, slower)
    everything, _ = world(lambda predicted, _: np.ones(len(predicted)), slower)
    assert selection is not None
    readings = selection.readings(rows)
    assert level(readings[right]) == pytest.approx(level(everything), abs=0.03)
    assert abs(level(readings[1 - right]) - level(everything)) > 0.05
    assert [len(reading) for reading in readings] == [len(rows)] * 2


@pytest.mark.parametrize("share", [0.02, 0.3, 0.68, 1.0])
def test_labels_that_are_missing_at_random_need_no_weights(share: float) -> None:
    for seed in range(20):
        _, selection = world(lambda predicted, _: np.full(len(predicted), share), 1.0, seed)
        assert selection is None


@pytest.mark.parametrize(
    "bins", [(), (Bin(1, 500, 300),), (Bin(1, 500, 0), Bin(2, 500, 0)), (Bin(1, 9_000, 8_900), Bin(2, 9_000, 8_600))]
)
def test_no_selection_is_known_where_shares_hardly_differ_or_there_are_none(bins: tuple[Bin, ...]) -> None:
    assert selection_of(coverage(bins)) is None
    assert selection_of(None) is None


def test_predictions_with_hardly_any_labels_are_hidden() -> None:
    assert not Selection(BINS).hidden
    assert Selection((*BINS[:-1], Bin(17, 200, 18))).hidden
    assert Selection((*BINS[:-1], Bin(17, 200, 0))).hidden


def test_the_shares_are_told_by_prediction() -> None:
    told = "68% of the predictions have labels, 95% of the lowest (below 6) and 30% of those from 17 on"
    assert Selection(BINS).told == told


LOSS = DetectorResult("loss", True, 2, 1, 1_000, "slower", ("targets above predictions",))
DRIFT = DetectorResult("data drift", True, 0.6, 0.5, 1_000, "zones drifted", ("data drift",))


def verdict(*detectors: DetectorResult) -> DriftVerdict:
    return DriftVerdict("drift", True, "", 1_000, 1_000, detectors=detectors, relative_error=0.2)


def test_readings_agree_where_both_find_a_common_type_of_loss_or_none() -> None:
    quiet, below = replace(LOSS, alarm=False, findings=()), replace(LOSS, findings=("targets below predictions",))
    assert agreed(verdict(LOSS, DRIFT), verdict(LOSS))
    assert agreed(verdict(quiet), verdict(quiet))
    assert not agreed(verdict(LOSS), verdict(below))
    assert not agreed(verdict(LOSS), verdict(quiet))
    assert not agreed(verdict(quiet), verdict(LOSS))


def test_without_loss_the_other_detectors_decide() -> None:
    alarmed = verdict(LOSS, DRIFT).without_loss("few labels")
    assert (alarmed.verdict, alarmed.findings, alarmed.relative_error) == ("drift", {"data drift"}, None)
    assert alarmed.reason == "data drift: zones drifted; labels cannot tell: few labels"
    unsure = verdict(LOSS).without_loss("few labels")
    assert (unsure.verdict, unsure.alarm, unsure.reason) == (CANNOT_TELL, False, "labels cannot tell: few labels")
    assert judged_findings(unsure.to_json()) == frozenset(), "it counts for no detector"
