"""Monitoring judges loss on the labels that training would use; the others are kept, counted and told."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.loop.data.windows import live_window
from autoops.loop.monitor import drift_check
from autoops.loop.reports.overview import overview, sentences
from autoops.models.registry import champion_of
from autoops.months import Month, parse_months
from autoops.storage.predictions import Label
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import answers, with_champion

APRIL = Month(2022, 4)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("steady")
    write_sample(directory, parse_months("2022-01..2022-04"), trips_per_month=9_000, seed=7)
    return directory


@pytest.fixture
def context(engine: sa.Engine, world: Path, tmp_path: Path) -> Context:
    return with_champion(tmp_path, world, engine, reference_rows=6_000)


def drive(context: Context, world: Path, begin: int, count: int, every: int, minutes: float) -> None:
    """Let the champion answer so many trips, of which each of `every` takes so many minutes."""
    trips = clean(world / file_name(APRIL), APRIL).rows.iloc[begin : begin + count]
    context.clock.advance(seconds=1)
    logged = answers(context, trips)
    context.log.append(logged)
    truths = [minutes if not number % every else truth for number, truth in enumerate(trips[TARGET])]
    labels = [Label(truth, prediction_id=row.id) for row, truth in zip(logged, truths, strict=True)]
    context.log.attach(labels, context.clock.now())


def test_trips_that_take_too_long_to_be_trained_on_count_in_no_error(context: Context, world: Path) -> None:
    """One in fifty takes three hours: their errors alone would more than double the mean one."""
    for begin in range(0, 4_000, 1_025):
        drive(context, world, begin, 1_025, every=50, minutes=180.0)
        drift_check.check(context)
        report = context.checks.latest()[0].report
        assert "larger errors" not in [name for one in report["detectors"] for name in one["findings"]]
    report = context.checks.latest()[0].report
    assert {one["name"] for one in report["detectors"]} == {"data drift", "prediction drift", "loss"}
    assert report["labels"]["outside"] == pytest.approx(0.02, abs=0.002)
    assert "2.0% of the labels are outside the contract of 1 to 60 minutes" in "\n".join(sentences(overview(context)))


def test_labels_are_counted_once_and_a_window_waits_for_enough_within_the_contract(
    context: Context, world: Path
) -> None:
    drive(context, world, 0, 1_010, every=50, minutes=180.0)
    assert "loss not judged: 989 new labels" in drift_check.check(context)["reason"]
    drive(context, world, 1_010, 500, every=50, minutes=180.0)
    window = live_window(context, champion_of(context.registry), 1_000)
    assert len(window.labelled) == 1_000
    assert len(window.outside) in (20, 21)
    assert drift_check.check(context)["labels"]
    left = live_window(context, champion_of(context.registry), 1_000)
    assert (len(left.labelled), len(left.outside)) == (0, 0)


@pytest.mark.parametrize(("every", "minutes", "column"), [(4, 180.0, "too_long"), (4, 0.5, "too_short")])
def test_more_of_them_than_is_ordinary_are_broken_data(
    context: Context, world: Path, every: int, minutes: float, column: str
) -> None:
    drive(context, world, 0, 1_000, every, minutes)
    found = drift_check.check(context)
    assert found["verdict"] == "broken data"
    assert column in {finding["column"] for finding in found["findings"]}
    assert drift_check.check(context)["verdict"] == "no new data"
