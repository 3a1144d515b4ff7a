"""A small history: a model that is trained, asked, found wrong, replaced and asked again."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import sqlalchemy as sa

from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.models.registry import champion_of
from autoops.months import Month, parse_months
from autoops.settings import Settings
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import context_in, drive, publish, retrain
from tests.taxi import CONTRACT

BEFORE, CHANGE, AFTER = Month(2022, 3), Month(2022, 4), Month(2022, 5)


def new_context(directory: Path, settings: Settings, engine: sa.Engine) -> Context:
    """Its clock stands at the present, because that is what its figures are held against."""
    write_sample(
        directory / "world",
        parse_months("2022-01..2022-05"),
        trips_per_month=6_000,
        scenario="speed",
        changes_from=CHANGE,
    )
    context = context_in(directory, settings, engine)
    catch_up(context)
    return context


def catch_up(context: Context) -> None:
    """Set its clock to the present, in which prediction ids are given."""
    context.clock.advance(seconds=(datetime.now(UTC) - context.clock.now()).total_seconds())


def begin(context: Context, directory: Path) -> None:
    """Version 1 takes charge."""
    publish(directory / "world", directory, "2022-01..2022-03")
    assert retrain(context, "first", reason="first model")["promoted"]


def degrade_and_heal(context: Context, directory: Path) -> None:
    """Version 2 takes over from version 1, and is judged in its turn."""
    world = directory / "world"
    for start in range(0, 3_000, 1_000):
        drive(context, world, CHANGE, slice(start, start + 1_000))
        drift_check.check(context)
    publish(world, directory, str(CHANGE))
    (incident,) = drift_check.check(context)["actionable"]
    assert retrain(context, "second", incident_id=incident)["promoted"]
    drive(context, world, AFTER, slice(0, 1_000))
    catch_up(context)
    assert drift_check.check(context)["model_version"] == champion_of(context.registry).number == 2


def send(client: httpx.Client, world: Path, month: Month, first: int, count: int = 20) -> None:
    """Trips of the month, one by one and in a batch, with their ground truth; and one that is no trip."""
    rows = clean(world / file_name(month), month).rows.iloc[first : first + count]
    trips = rows[list(CONTRACT.inputs)].to_dict("records")
    trips = [trip | {"pickup_at": at.isoformat()} for trip, at in zip(trips, rows["event_at"], strict=True)]
    answers = [client.post("/predict", json=trip).raise_for_status().json() for trip in trips]
    client.post("/predict/batch", json={"trips": trips}).raise_for_status()
    labels = [
        {"prediction_id": one["prediction_id"], "trip_duration_minutes": minutes}
        for one, minutes in zip(answers, rows[TARGET], strict=True)
    ]
    client.post("/ground-truth", json={"labels": labels}).raise_for_status()
    assert client.post("/predict", json={"trip_distance": "far"}).status_code == 422
