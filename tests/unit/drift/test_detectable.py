"""The smallest lasting change that checks find in time: planted in new traffic, it is found as often as stated."""

import numpy as np
import pytest

from autoops.drift.calibration import History, measure, thresholds_from
from autoops.drift.detectable import (
    A_WEEK,
    FOUND,
    TWO_WINDOWS,
    detectable,
    figures_of,
    summary,
)
from autoops.drift.performance import ABOVE, BELOW, EWMA_ABOVE, EWMA_BELOW, FINDINGS
from autoops.drift.thresholds import Thresholds
from autoops.models.bundle import Detectable
from autoops.settings import Drift
from autoops.usecase.columns import PREDICTION, TARGET
from benchmarks.detectable import Planted, found_in_time
from tests.taxi import CONTRACT
from tests.unit.drift.made_up import DRIFT, history, trips

FITTED, HOLDOUT, REFERENCE = history(days=91)


@pytest.fixture(scope="module")
def of_history() -> History:
    return measure(FITTED, HOLDOUT, REFERENCE, ("trip_distance",), CONTRACT, DRIFT)


def found_of(of_history: History, drift: Drift = DRIFT) -> tuple[tuple[Detectable, ...], Thresholds]:
    thresholds = thresholds_from(of_history, drift, CONTRACT)
    return detectable(of_history, thresholds, HOLDOUT, CONTRACT, drift), thresholds


def test_each_alarm_type_has_a_change_for_two_windows_and_a_smaller_one_for_a_week(of_history: History) -> None:
    found, _ = found_of(of_history)
    assert [(one.detector, one.within) for one in found] == [
        (name, within) for name in FINDINGS for within in (TWO_WINDOWS, A_WEEK)
    ]
    loss = float((HOLDOUT[TARGET] - HOLDOUT[PREDICTION]).abs().mean())
    for soon, later in zip(found[::2], found[1::2], strict=True):
        assert 0 < later.change < soon.change
        assert 0 < later.share < soon.share
        assert later.share == pytest.approx(later.loss / loss)


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_planted_change_of_the_stated_size_is_found_as_often_as_stated(of_history: History, finding: str) -> None:
    found, thresholds = found_of(of_history)
    new = trips(210, start="2026-06-01T05:00", seed=5)
    for one in (one for one in found if one.detector == finding):
        little, stated = (found_in_time(new, Planted(one, factor), thresholds, DRIFT) for factor in (0.4, 1.0))
        assert little < 0.5
        assert stated == pytest.approx(FOUND, abs=0.2)


def test_the_cost_of_a_change_is_what_predictions_off_by_it_would_lose(of_history: History) -> None:
    found, _ = found_of(of_history)
    one = next(one for one in found if one.detector == ABOVE)
    level = float(np.median(np.log(HOLDOUT[TARGET] / HOLDOUT[PREDICTION])))
    losses = [
        float((HOLDOUT[TARGET] - HOLDOUT[PREDICTION] * np.exp(level - change)).abs().mean())
        for change in (one.change, 0)
    ]
    assert one.loss == pytest.approx(losses[0] - losses[1])


def test_a_change_is_never_found_where_more_windows_must_alarm_than_there_are(of_history: History) -> None:
    found, _ = found_of(of_history, DRIFT.model_copy(update={"alarms_needed": 3, "alarms_of": 4}))
    assert [one.change is None for one in found if one.within == TWO_WINDOWS] == [True] * 5
    assert all(one.change for one in found if one.within == A_WEEK)
    assert not any("two_windows" in name for name in figures_of(found))


def changes(
    above: float | None, of_average: float | None, below: float, of_average_below: float
) -> tuple[Detectable, ...]:
    names = {ABOVE: above, EWMA_ABOVE: of_average, BELOW: below, EWMA_BELOW: of_average_below}
    return tuple(
        Detectable(name, A_WEEK, share and share / 2, share and 3 * share, share) for name, share in names.items()
    )


@pytest.mark.parametrize(
    ("found", "share", "too_large"),
    [(changes(0.3, 0.05, 0.2, 0.08), 0.08, False), (changes(0.3, 0.11, 0.2, 0.08), 0.11, True), ((), None, None)],
)
def test_what_may_stay_unseen_is_the_better_alarm_type_of_the_worse_direction(found, share, too_large) -> None:
    of_version = summary(found, CONTRACT, DRIFT)
    assert (of_version.get("share"), of_version.get("too_large")) == (share, too_large)


def test_what_no_change_reaches_is_said_and_is_too_large() -> None:
    never = tuple(Detectable(name, A_WEEK, None, None, None) for name in (ABOVE, EWMA_ABOVE))
    of_version = summary((*never, *changes(0.1, 0.1, 0.1, 0.1)[2:]), CONTRACT, DRIFT)
    assert of_version == {
        "share": None,
        "told": "No lasting change of the level of errors opens an incident within a week, however large.",
        "too_large": True,
    }
    assert summary(changes(0.3, 0.05, 0.2, 0.08), CONTRACT, DRIFT)["told"] == (
        "A lasting change that costs 0.240 min (8.0% of the loss) opens an incident within a week in 80% of cases."
    )
