"""Long trips are labelled less often: in a steady world that is no loss, and slower trips still become an incident."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.alerts.watch import watch
from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.loop.reports.overview import overview, sentences
from autoops.months import Month, parse_months
from autoops.storage.predictions import Label
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import answers, with_champion

APRIL = Month(2022, 4)
LONG_MINUTES = 12
WINDOWS = 8


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in ("steady", "speed")}
    write_sample(made["steady"], parse_months("2022-01..2022-04"), trips_per_month=14_000, seed=7)
    write_sample(made["speed"], [APRIL], trips_per_month=14_000, seed=7, scenario="speed")
    return made


@pytest.fixture
def context(engine: sa.Engine, worlds: dict[str, Path], tmp_path: Path) -> Context:
    return with_champion(tmp_path, worlds["steady"], engine, reference_rows=6_000)


def checks(context: Context, world: Path, long_labelled: float) -> Iterator[dict[str, object]]:
    """Before each check a thousand trips are predicted, and labelled an hour later; of long ones a share."""
    trips = clean(world / f"green_tripdata_{APRIL}.parquet", APRIL).rows
    rng, serial = np.random.default_rng(3), count()
    for number in range(WINDOWS):
        some, now = trips.iloc[number * 1_000 : (number + 1) * 1_000], context.clock.now()
        ids = [
            uuid_utils.uuid7(nanoseconds=int(now.timestamp() * 1e6 + next(serial)) * 1_000) for _ in range(len(some))
        ]
        logged = [replace(row, id=str(id)) for row, id in zip(answers(context, some), ids, strict=True)]
        context.log.append(logged)
        context.clock.advance(hours=1)
        known = np.where(some[TARGET] > LONG_MINUTES, rng.random(len(some)) < long_labelled, True)
        truth = zip(logged, some[TARGET], known, strict=True)
        context.log.attach([Label(float(m), prediction_id=row.id) for row, m, k in truth if k], context.clock.now())
        context.clock.advance(hours=1)
        yield drift_check.check(context)


def test_a_steady_world_opens_no_incident_and_somebody_is_told(context: Context, worlds: dict[str, Path]) -> None:
    told: list[str] = []
    for found in checks(context, worlds["steady"], long_labelled=0.25):
        assert found["decision"] != "open incident"
        watch(context, patience_s=0)
        if found["verdict"] == "labels cannot tell":
            told += sentences(overview(context))
    assert any("cannot tell whether errors have grown" in line for line in told)
    (first, *_) = context.ledger.entries(kind="labels cannot tell")
    assert "of the predictions have labels" in first.reason


@pytest.mark.parametrize("long_labelled", [0.5, 1.0])
def test_much_slower_trips_are_an_incident_all_the_same(
    context: Context, worlds: dict[str, Path], long_labelled: float
) -> None:
    decisions = [one["decision"] for one in checks(context, worlds["speed"], long_labelled)]
    assert "open incident" in decisions
