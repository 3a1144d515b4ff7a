"""Which trips a model is fitted on, with and without a change of the world."""

from datetime import UTC, datetime, timedelta

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


def test_the_last_days_are_held_out() -> None:
    trips = synthetic_trips(1000)
    earlier, holdout = window.hold_out(trips, CONTRACT, TRAINING)
    assert len(earlier) + len(holdout) == 1000
    assert holdout["event_at"].iloc[0] >= pd.Timestamp("2023-01-26T05:00Z")
    assert earlier["event_at"].iloc[-1] < pd.Timestamp("2023-01-26T05:00Z")


def test_too_few_trips_before_the_holdout_are_refused_with_figures() -> None:
    with pytest.raises(DataError, match=r"\d+ trips before the holdout.*2023-01-26.*training\.min_rows is 200"):
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
