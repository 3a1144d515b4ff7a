"""One answer, followed from what the model was given to the minutes."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
import uuid_utils
from typer.testing import CliRunner

from autoops.cli import app
from autoops.errors import NotFound
from autoops.loop.context import Context
from autoops.loop.reports.breakdown import Breakdown, break_down, sentences
from autoops.models.registry import champion_of
from autoops.models.scoring import load_version
from autoops.months import Month
from autoops.settings import CONFIG_VARIABLE, Settings
from autoops.storage.logged import LoggedPrediction
from autoops.storage.predictions import LogSelection
from tests.conftest import CONFIG
from tests.integration.one_process import drive
from tests.taxi import raw_of

MAY = Month(2022, 5)


@pytest.fixture
def answered(context: Context, world: Path) -> LoggedPrediction:
    drive(context, world, MAY, slice(0, 40))
    return max(context.log.latest(LogSelection(1), 40), key=distance_of)


def distance_of(row: LoggedPrediction) -> float:
    return raw_of(row)["trip_distance"]


def with_inputs(row: LoggedPrediction, **values: float) -> tuple[float, ...]:
    """The trip's raw values, some of them others."""
    return tuple((raw_of(row) | values).values())


def relogged(context: Context, row: LoggedPrediction, **changes: object) -> Breakdown:
    other = replace(row, id=str(uuid_utils.uuid7()), **changes)
    context.log.append([other])
    return break_down(context, other.id)


def test_steps_lead_from_the_usual_trip_to_this_one(context: Context, answered: LoggedPrediction) -> None:
    found = break_down(context, answered.id)
    assert found.agrees
    assert found.known
    assert found.recomputed == found.steps[-1].prediction == pytest.approx(answered.prediction, abs=1e-4)
    assert found.usual + sum(step.change for step in found.steps) == pytest.approx(found.recomputed)
    first = found.steps[0]
    assert first.values == {"trip_distance": pytest.approx(distance_of(answered))}
    assert first.change == max(step.change for step in found.steps) > 5, "it was the longest way of all"
    given = {name: value for step in found.steps for name, value in step.values.items()}
    assert given.keys() == set(context.settings.model.features)
    assert given["pickup_location_id"] == raw_of(answered)["pickup_location_id"]


def test_only_what_differs_between_two_trips_makes_a_difference(context: Context, answered: LoggedPrediction) -> None:
    long, short = (
        relogged(context, answered, inputs=with_inputs(answered, trip_distance=miles)) for miles in (12.0, 1.0)
    )
    assert long.steps[0].change > 0 > short.steps[0].change
    assert long.steps[0].prediction - short.steps[0].prediction > 10
    assert long.usual == short.usual


def test_an_answer_that_the_version_would_not_give_is_told(context: Context, answered: LoggedPrediction) -> None:
    scorer = load_version(context.registry, champion_of(context.registry), context.model_cache)
    unseen = min(set(range(1, 266)) - set(scorer.encoder.vocabularies["dropoff_location_id"]))
    inputs = with_inputs(answered, dropoff_location_id=unseen)
    found = relogged(context, answered, prediction=answered.prediction + 1, request_id="ride-7", inputs=inputs)
    assert not found.agrees
    told = "\n".join(sentences(break_down(context, "ride-7")))
    assert f"{answered.prediction + 1:.2f} min, now NOT the same again: {found.recomputed:.4f}" in told
    assert "a category that it did not see in training" in told


def test_the_command_line_tells_it(settings: Settings, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(CONFIG))
    refused = CliRunner().invoke(app, ["why", "ride-8"])
    assert isinstance(refused.exception, NotFound)
    assert "'ride-8'" in str(refused.exception)
