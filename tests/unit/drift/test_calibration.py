"""Which windows of its history a version takes for ordinary, and which limits follow from how they differ."""

import numpy as np
import pandas as pd
import pytest

from autoops.drift.calibration import History, Measured, measure, thresholds_from
from autoops.drift.monitor import Reference
from autoops.drift.performance import ErrorLimits, judge_errors
from autoops.drift.thresholds import Limits
from autoops.settings import Drift
from autoops.usecase.columns import PREDICTION, TARGET
from tests.taxi import CONTRACT
from tests.unit.drift.made_up import DRIFT, FEATURES, ROWS_PER_DAY, trips

ONCE_A_DAY = 86_400
DAILY = Drift(window_size=200, check_interval_s=ONCE_A_DAY)
MONTHS = Drift(window_size=200, check_interval_s=ONCE_A_DAY, source="months")


def ticking(days: float) -> pd.DataFrame:
    """Trips at an even pace, each off by as many minutes as days have passed: a window's mean error is its middle."""
    rows = trips(days)
    moments = pd.Timestamp("2026-01-05T05:00", tz="UTC") + pd.to_timedelta(day_of(rows), unit="D").as_unit("us")
    return rows.assign(event_at=moments.as_unit("us"), target=rows["prediction"] + day_of(rows))


def day_of(rows: pd.DataFrame) -> np.ndarray:
    return np.arange(len(rows)) / ROWS_PER_DAY


def measured(rows: pd.DataFrame, drift: Drift = DRIFT, held_out_days: int = 0) -> History:
    cut = len(rows) - held_out_days * ROWS_PER_DAY
    history, holdout = rows.iloc[:cut], rows.iloc[cut:].reset_index(drop=True)
    return measure(history, holdout, history.assign(part="window"), ("trip_distance",), CONTRACT, drift)


@pytest.mark.parametrize("drift", [DRIFT, MONTHS], ids=["checks that see all traffic", "months"])
def test_history_is_cut_into_windows_and_into_weeks_from_every_other_day(drift: Drift) -> None:
    history = measured(ticking(36), drift)
    (short,), (week,) = history.short, history.weekly
    assert short.absolute == pytest.approx(0.25 + 0.5 * np.arange(72), abs=0.01)
    assert week.absolute == pytest.approx(3.5 + 2 * np.arange(15), abs=0.02)
    assert (short.every_days, week.every_days) == pytest.approx((0.5, 2), rel=1e-6)
    assert (short.span_days, week.span_days) == pytest.approx((0.5, 7), rel=0.01)


def test_three_windows_are_the_fewest_that_tell_what_is_ordinary() -> None:
    rows = ticking(1.5)
    assert [len(kind.absolute) for kind in measured(rows).short] == [3]
    assert measured(rows.iloc[:-1]).short == ()


def test_checks_once_a_day_may_come_at_any_quarter_of_it_and_see_the_trips_before() -> None:
    found = measured(ticking(30), Drift(window_size=100, check_interval_s=ONCE_A_DAY)).short
    middles = [np.arange(first, 30) for first in (0.875, 0.125, 0.375, 0.625)]
    for kind, expected in zip(found, middles, strict=True):
        assert kind.absolute == pytest.approx(expected[: len(kind.absolute)], abs=0.01)
    assert [len(kind.absolute) for kind in found] == [29, 30, 30, 30]


def test_a_check_that_saw_too_few_new_trips_judges_none_of_them_twice() -> None:
    rows = ticking(30)
    day, of_day = np.divmod(np.arange(len(rows)), ROWS_PER_DAY)
    too_few = (day == 8) & (of_day >= 199)
    just_enough = (day == 5) & (of_day >= 200)
    midnight, _, noon, _ = measured(rows[~too_few & ~just_enough & ((day > 0) | (of_day != 50))], DAILY).short
    assert midnight.absolute == pytest.approx(
        [{5: 5.25}.get(day, day + 0.75) for day in range(29) if day != 8], abs=0.01
    )
    assert noon.absolute == pytest.approx(0.25 + np.arange(1, 30), abs=0.01)


def test_windows_of_history_are_measured_as_a_check_measures_its_own() -> None:
    rows, reference = trips(3), trips(14, start="2026-02-09T05:00", seed=1).assign(part="window")
    (short,) = measure(rows, rows.iloc[:0], reference, FEATURES, CONTRACT, DRIFT).short
    for number in range(6):
        window = rows.iloc[200 * number : 200 * (number + 1)]
        truth, prediction = window[TARGET].to_numpy(), window[PREDICTION].to_numpy()
        loss = judge_errors(CONTRACT, truth, prediction, ErrorLimits(0, -1, 1, -1, 1, 3, 4))
        assert (short.relative[number], short.absolute[number]) == pytest.approx((loss.relative, loss.absolute))
        distances = Reference(reference, rows, CONTRACT).distances(window, list(short.distances))
        assert {name: each[number] for name, each in short.distances.items()} == pytest.approx(distances)


@pytest.mark.parametrize(("rows_in_it", "weeks"), [(199, 14), (200, 15)])
def test_a_week_with_fewer_trips_than_a_window_says_nothing(rows_in_it: int, weeks: int) -> None:
    rows = ticking(36)
    quiet = (day_of(rows) >= 8 + rows_in_it / ROWS_PER_DAY) & (day_of(rows) < 15)
    assert len(measured(rows[~quiet]).weekly[0].absolute) == weeks


def test_limits_hold_from_the_span_of_the_densest_window_on() -> None:
    rows = ticking(28)
    slower_traffic = (day_of(rows) < 14) & (np.arange(len(rows)) % 2 == 1)
    assert measured(rows[~slower_traffic]).short[0].span_days == pytest.approx(0.5, rel=0.01)


def test_the_level_of_errors_is_told_by_the_trips_that_were_held_out() -> None:
    assert measured(ticking(35), held_out_days=7).short[0].held_out == pytest.approx(0.2, rel=1e-9)
    assert measured(ticking(28)).short[0].held_out == 1


def test_a_history_of_less_than_a_day_is_no_busier_than_its_trips_in_a_day() -> None:
    assert measured(ticking(0.5)).rows_per_year == 200 * 365.25


def ordinary(seed: int, span_days: float = 0.5, windows: int = 60) -> Measured:
    """Windows that differ by chance, and their columns all alike."""
    rng = np.random.default_rng(seed)
    distances, relative = np.exp(rng.normal(-3, 0.4, windows)), rng.normal(0, 0.05, windows)
    columns = dict.fromkeys((*CONTRACT.watched(FEATURES), PREDICTION), distances)
    return Measured(span_days, 0.5, 0.2, columns, relative, rng.normal(4, 0.2, windows))


def limits(drift: Drift, *short: Measured, weekly: tuple[Measured, ...] = ()) -> tuple[Limits, ...]:
    return thresholds_from(History(ROWS_PER_DAY * 365.25, short, weekly), drift, CONTRACT).limits


@pytest.mark.parametrize(("threshold", "of_a_group"), [(0.5, 0.5), (0.1, 1 / 3)])
def test_a_feature_may_alarm_as_often_as_its_share_of_what_data_drift_takes(
    threshold: float, of_a_group: float
) -> None:
    """Two alarms are needed, so the share of an incident is squared; distance and passengers are alone in their
    groups, and the zones are two."""
    windows = ordinary(seed=0)
    (found,) = limits(Drift(window_size=200, threshold=threshold), windows)
    for feature in CONTRACT.watched(FEATURES):
        share = of_a_group / (2 if "location" in feature else 1)
        (alone,) = limits(Drift(window_size=200, false_alarms_per_year=share**2), windows)
        assert found.distances[feature] == pytest.approx(alone.distances[PREDICTION], abs=1e-6)


def test_what_holds_at_every_hour_is_the_wider_limit() -> None:
    at_noon, at_night = ordinary(seed=0, span_days=0.5, windows=60), ordinary(seed=1, span_days=0.4, windows=40)
    at_night.distances[PREDICTION] = at_night.distances[PREDICTION] * 3
    (noon,), (night,), (both,) = (limits(DRIFT, *kinds) for kinds in ([at_noon], [at_night], [at_noon, at_night]))
    assert night.distances["trip_distance"] < noon.distances["trip_distance"]
    assert both.distances == noon.distances | {PREDICTION: night.distances[PREDICTION]}
    assert both.errors == noon.errors.beyond(night.errors)
    assert (both.span_days, both.windows) == (0.4, 60)


@pytest.mark.parametrize(("span_days", "kinds"), [(6.9, 1), (7.0, 1), (7.1, 2)])
def test_weeks_have_limits_of_their_own_where_they_are_longer_than_windows(span_days: float, kinds: int) -> None:
    found = limits(DRIFT, ordinary(seed=0, span_days=7.0), weekly=(ordinary(seed=1, span_days=span_days),))
    assert len(found) == kinds


def test_a_week_has_the_narrower_of_its_own_limits_and_those_of_any_window() -> None:
    windows, weeks = ordinary(seed=1), ordinary(seed=0, span_days=7.0)
    (of_windows,), (of_weeks,) = limits(DRIFT, windows), limits(DRIFT, weekly=(weeks,))
    _, both = limits(DRIFT, windows, weekly=(weeks,))
    assert both.errors == of_weeks.errors.within(of_windows.errors) != of_weeks.errors
    assert both.distances == {
        name: min(of_weeks.distances[name], of_windows.distances[name]) for name in both.distances
    }
