"""Loss where labels come for some of the trips, or in one batch: every detector has a history of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.months import Month, parse_months
from autoops.storage.predictions import Label
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import drive, with_champion

APRIL = Month(2022, 4)
WINDOWS = 12


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in ("steady", "speed")}
    write_sample(made["steady"], parse_months("2022-01..2022-04"), trips_per_month=14_000, seed=7)
    write_sample(made["speed"], [APRIL], trips_per_month=14_000, seed=7, scenario="speed")
    return made


@pytest.fixture
def context(engine: sa.Engine, worlds: dict[str, Path], tmp_path: Path) -> Context:
    return with_champion(tmp_path, worlds["steady"], engine, reference_rows=6_000)


Labelling = Callable[[int, list[Label]], list[Label]]


def some(_number: int, held: list[Label]) -> list[Label]:
    """A random 30 % of the trips are labelled, at once."""
    drawn = np.random.default_rng(3).random(len(held)) < 0.3
    now = [label for label, is_drawn in zip(held, drawn, strict=True) if is_drawn]
    held.clear()
    return now


def nightly(number: int, held: list[Label]) -> list[Label]:
    """Every fourth check finds the labels of all trips so far."""
    now = held[:] if number % 4 == 3 else []
    if now:
        held.clear()
    return now


def decisions(context: Context, world: Path, labelling: Labelling) -> list[dict[str, object]]:
    """Let the champion answer a thousand trips before each check."""
    attach, held, found = context.log.attach, [], []
    for number in range(WINDOWS):
        context.log.attach = lambda labels, _: held.extend(labels)
        drive(context, world, APRIL, slice(number * 1_000, (number + 1) * 1_000))
        context.log.attach = attach
        context.log.attach(labelling(number, held), context.clock.now())
        context.clock.advance(hours=1)
        found.append(drift_check.check(context))
        if found[-1]["decision"] == "open incident":
            break
    return found


@pytest.mark.parametrize("labelling", [some, nightly])
def test_slower_trips_become_an_incident(context: Context, worlds: dict[str, Path], labelling: Labelling) -> None:
    found = decisions(context, worlds["speed"], labelling)[-1]
    assert found["decision"] == "open incident"
    assert "windows that could judge it alarmed for" in found["because"]


@pytest.mark.parametrize("labelling", [some, nightly])
def test_a_steady_world_opens_none(context: Context, worlds: dict[str, Path], labelling: Labelling) -> None:
    found = decisions(context, worlds["steady"], labelling)
    assert len(found) == WINDOWS
    assert not context.ledger.incidents(unresolved=True)
