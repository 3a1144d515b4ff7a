"""Which trips a model is fitted on, with and without a change of the world."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from autoops.errors import DataError, EmptyMonth
from autoops.settings import Model, Training
from autoops.training import window
from tests.bundles import BEGINS_AT, synthetic_trips
from tests.taxi import CONTRACT

MODEL = Model(parameters={"n_estimators": 10, "min_samples_leaf": 5, "n_jobs": 1, "random_state": 7})
TRAINING = Training(min_rows=200, holdout_days=3)
CHANGES_AT = BEGINS_AT + timedelta(days=28)


def two_worlds(slow: float = 8.0, rows_after: int = 600) -> pd.DataFrame:
    """Four weeks at 4 minutes a mile, then two at `slow`."""
    after = synthetic_trips(rows_after, seed=2, begins_at=CHANGES_AT, days=14, minutes_per_mile=slow)
    return pd.concat([synthetic_trips(1500), after], ignore_index=True)


def day_numbers(trips: pd.DataFrame) -> np.ndarray:
    """Of the trips' days in New York."""
    return np.unique(
        trips["event_at"].dt.tz_convert(CONTRACT.zone).dt.tz_localize(None).to_numpy().astype("M8[D]")
    ).astype(int)


def test_whole_days_of_the_newest_four_weeks_are_held_out_and_never_fitted() -> None:
    trips = synthetic_trips(3_000, days=60)
    earlier, holdout = window.hold_out(trips, CONTRACT, Training(min_rows=200))
    assert len(earlier) + len(holdout) == 3_000
    fitted, held = day_numbers(earlier), day_numbers(holdout)
    assert not set(fitted) & set(held)
    assert held.tolist() == [held[-1] - back for back in range(24, -1, -4)]
    assert held[-1] == day_numbers(trips)[-1]
    assert len({day % 7 for day in held}) == 7


@pytest.mark.parametrize("count", [5, 7, 10, 14, 21, 28])
def test_each_weekday_is_held_out_about_as_often(count: int) -> None:
    found = np.bincount(window.held_out_days(np.arange(90), count) % 7, minlength=7)
    assert found.sum() == count
    assert found.max() - found.min() <= 1


@pytest.mark.parametrize("weekdays", [(2,), (2, 3), (0, 1, 4, 5), (4, 5, 6, 0, 1), (0, 1, 2, 4, 5, 6)])
def test_a_table_with_rows_on_some_weekdays_holds_out_as_many_days_of_all_of_them(weekdays: tuple[int, ...]) -> None:
    days = np.array([day for day in range(400) if day % 7 in weekdays])
    # A few rows on the other weekdays are no days.
    found = window.held_out_days(np.concatenate([np.repeat(days, 200), np.arange(400)]), 7)
    assert len(found) == 7
    assert {day % 7 for day in found} == set(weekdays)


@pytest.mark.parametrize(
    ("since", "expected"), [(10, list(range(7))), (15, list(range(0, 14, 2))), (3, [4 * n for n in range(7)])]
)
def test_the_holdout_lies_after_a_change_where_enough_days_do(since: int, expected: list[int]) -> None:
    assert (89 - window.held_out_days(np.arange(90), 7, changed_on=89 - since)).tolist() == expected


def test_a_wrong_clock_is_neither_fitted_nor_the_newest_day() -> None:
    trips = synthetic_trips(2_000, days=60)
    stray = trips.tail(3).assign(event_at=trips["event_at"].tail(3) + timedelta(days=9_000))
    earlier, holdout = window.hold_out(pd.concat([trips, stray], ignore_index=True), CONTRACT, TRAINING)
    assert earlier["event_at"].max() < trips["event_at"].max()
    assert holdout["event_at"].max() == stray["event_at"].max()
    assert len(day_numbers(holdout)) == TRAINING.holdout_days + len(day_numbers(stray))


def test_too_few_trips_beside_the_holdout_are_refused_with_figures() -> None:
    with pytest.raises(DataError, match=r"\d+ trips beside the holdout, whose 3 days.*training\.min_rows is 200"):
        window.hold_out(synthetic_trips(100), CONTRACT, TRAINING)


def test_no_trips_at_all_are_refused() -> None:
    with pytest.raises(EmptyMonth, match="no trips"):
        window.hold_out(synthetic_trips(10).iloc[:0], CONTRACT, TRAINING)


def test_all_trips_are_used_where_no_change_is_known() -> None:
    trips = two_worlds()
    chosen = window.choose(trips, CONTRACT, MODEL, TRAINING, None)
    assert (chosen.choice, len(chosen.rows), chosen.errors) == (window.ALL, len(trips), {})


def test_only_trips_since_the_change_are_used_where_the_old_ones_mislead() -> None:
    chosen = window.choose(two_worlds(slow=8), CONTRACT, MODEL, TRAINING, CHANGES_AT)
    assert chosen.choice == window.SINCE_CHANGE
    assert chosen.rows["event_at"].iloc[0] >= pd.Timestamp(CHANGES_AT)
    assert len(chosen.rows) == 600
    assert chosen.errors["validation_loss_since_change"] < chosen.errors["validation_loss_all"]


def test_a_model_that_learns_by_heart_has_not_seen_the_validation_span() -> None:
    by_heart = Model(estimator="sklearn.tree.DecisionTreeRegressor", parameters={"random_state": 7})
    chosen = window.choose(two_worlds(slow=8), CONTRACT, by_heart, TRAINING, CHANGES_AT)
    assert chosen.choice == window.SINCE_CHANGE
    assert all(error > 0.5 for error in chosen.errors.values())


def test_all_trips_are_used_where_the_alleged_change_was_none() -> None:
    chosen = window.choose(two_worlds(slow=4, rows_after=250), CONTRACT, MODEL, TRAINING, CHANGES_AT)
    assert chosen.choice == window.ALL
    assert chosen.errors["validation_loss_all"] <= chosen.errors["validation_loss_since_change"]


@pytest.mark.parametrize(
    "evidence_start",
    [CHANGES_AT + timedelta(days=13), datetime(2030, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)],
    ids=["too few since", "none since", "all since"],
)
def test_there_is_no_choice_without_enough_on_both_sides(evidence_start: datetime) -> None:
    chosen = window.choose(two_worlds(), CONTRACT, MODEL, TRAINING, evidence_start)
    assert (chosen.choice, chosen.errors) == (window.ALL, {})


def test_trips_that_all_begin_at_once_leave_nothing_to_compare_with() -> None:
    trips = two_worlds()
    at_once = trips.tail(300).assign(event_at=trips["event_at"].iloc[-1])
    chosen = window.choose(pd.concat([trips.head(1500), at_once]), CONTRACT, MODEL, TRAINING, CHANGES_AT)
    assert chosen.choice == window.ALL


def test_more_rows_than_the_cap_are_sampled_evenly_over_the_days() -> None:
    trips = synthetic_trips(2_000, days=10)
    sample = window.capped(trips, 500)
    assert len(sample) == 500
    assert sample["event_at"].is_monotonic_increasing
    kept, whole = (rows["event_at"].dt.date.value_counts() for rows in (sample, trips))
    assert (kept - whole / 4).abs().max() <= 1
    pd.testing.assert_frame_equal(sample, window.capped(trips, 500))
    assert window.capped(trips, None) is trips
    assert window.capped(trips, 2_000) is trips


def test_four_weeks_of_a_sparse_table_can_be_trained_on() -> None:
    """One row an hour: three months are fewer rows than the 2,000 that are asked of other tables."""
    hourly = synthetic_trips(24 * 89, days=89)
    earlier, _ = window.hold_out(hourly, CONTRACT, Training())
    assert len(earlier) < Training().min_rows
    with pytest.raises(DataError, match=r"at least 5\d\d are needed \(training\.min_rows is 2000\)"):
        window.hold_out(synthetic_trips(20 * 20, days=20), CONTRACT, Training())
