"""A small history: a model that is trained, asked, found wrong, replaced and asked again."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import sqlalchemy as sa

from autoops.ingestion.clean import clean
from autoops.ingestion.sample import write_sample
from autoops.ingestion.source import file_name
from autoops.loop.context import Pipeline
from autoops.loop.monitor import drift_check
from autoops.models.registry import champion_of
from autoops.months import Month, parse_months
from autoops.settings import Settings
from autoops.trips import TARGET, TRIP_COLUMNS
from tests.integration.one_process import drive, pipeline_in, publish, retrain

BEFORE, CHANGE, AFTER = Month(2022, 3), Month(2022, 4), Month(2022, 5)


def new_pipeline(directory: Path, settings: Settings, engine: sa.Engine) -> Pipeline:
    """Its clock stands at the present, because that is what its figures are held against."""
    write_sample(
        directory / "world",
        parse_months("2022-01..2022-05"),
        trips_per_month=6_000,
        scenario="speed",
        changes_from=CHANGE,
    )
    pipeline = pipeline_in(directory, settings, engine)
    catch_up(pipeline)
    return pipeline


def catch_up(pipeline: Pipeline) -> None:
    """Set its clock to the present, in which prediction ids are given."""
    pipeline.clock.advance(seconds=(datetime.now(UTC) - pipeline.clock.now()).total_seconds())


def begin(pipeline: Pipeline, directory: Path) -> None:
    """Version 1 takes charge."""
    publish(directory / "world", directory, "2022-01..2022-03")
    assert retrain(pipeline, "first", reason="first model")["promoted"]


def degrade_and_heal(pipeline: Pipeline, directory: Path) -> None:
    """Version 2 takes over from version 1, and is judged in its turn."""
    world = directory / "world"
    for start in range(0, 3_000, 1_000):
        drive(pipeline, world, CHANGE, slice(start, start + 1_000))
        drift_check.check(pipeline)
    publish(world, directory, str(CHANGE))
    (incident,) = drift_check.check(pipeline)["actionable"]
    assert retrain(pipeline, "second", incident_id=incident)["promoted"]
    drive(pipeline, world, AFTER, slice(0, 1_000))
    catch_up(pipeline)
    assert drift_check.check(pipeline)["model_version"] == champion_of(pipeline.registry).number == 2


def send(client: httpx.Client, world: Path, month: Month, first: int, count: int = 20) -> None:
    """Trips of the month, one by one and in a batch, with their ground truth; and one that is no trip."""
    rows = clean(world / file_name(month), month).trips.iloc[first : first + count]
    trips = rows[list(TRIP_COLUMNS)].to_dict("records")
    trips = [trip | {"pickup_at": trip["pickup_at"].isoformat()} for trip in trips]
    answers = [client.post("/predict", json=trip).raise_for_status().json() for trip in trips]
    client.post("/predict/batch", json={"trips": trips}).raise_for_status()
    labels = [
        {"prediction_id": one["prediction_id"], "trip_duration_minutes": minutes}
        for one, minutes in zip(answers, rows[TARGET], strict=True)
    ]
    client.post("/ground-truth", json={"labels": labels}).raise_for_status()
    assert client.post("/predict", json={"trip_distance": "far"}).status_code == 422
