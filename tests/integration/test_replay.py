"""The player against the real API over HTTP."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.ingestion.source import DirectorySource
from autoops.models.registry import CHAMPION
from autoops.months import Month
from autoops.replay.pace import Pace
from autoops.replay.player import Listener, Played, PlayOptions, play
from autoops.replay.tally import Answer
from autoops.settings import Settings
from autoops.storage.predictions import LIVE, LogSelection, PredictionLog
from autoops.usecases.taxi.sample import write_sample
from tests.fakes import FakeRegistry
from tests.integration.live_api import live_api, two_versions
from tests.taxi import CONTRACT

MARCH, APRIL = Month(2023, 3), Month(2023, 4)
TRIPS = 400


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world")
    write_sample(directory, [MARCH, APRIL], trips_per_month=1_000)
    return directory


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    return two_versions(tmp_path)


@pytest.fixture
def api(settings: Settings, registry: FakeRegistry, engine: sa.Engine) -> Iterator[str]:
    with live_api(settings, registry, engine) as served:
        yield served.api_url


def replay(api: str, world: Path, *listeners: Listener, pace: Pace | None = None, **values: object) -> Played:
    options = PlayOptions(DirectorySource(world), [MARCH, APRIL], api, CONTRACT, sample=TRIPS, **values)
    return play(options, pace, listeners)


def test_every_trip_stands_in_the_log_at_its_own_time_and_with_its_truth(api, world, engine):
    played = replay(api, world, label_lag=timedelta(0))
    log = PredictionLog(engine)
    labelled = log.latest_labelled(LogSelection(1), limit=5_000)
    assert (played.failed, log.count(LogSelection(1, LIVE)), len(labelled)) == (0, 2 * TRIPS, 2 * TRIPS)
    by_month = {month: [row for row in labelled if Month.of(row.logged.event_at) == month] for month in (MARCH, APRIL)}
    for segment, rows in zip(played.tally.by_month(), by_month.values(), strict=True):
        judged = [row for row in rows if 1 <= row.target <= 60]
        errors = [abs(row.logged.prediction - row.target) for row in judged]
        assert (segment.rows, segment.mae) == (TRIPS, pytest.approx(sum(errors) / len(errors)))
    assert all(str(row.logged.request_id).startswith("2023-03/") for row in by_month[MARCH])


def test_a_second_replay_adds_nothing_to_the_log_and_gets_the_same_answers(api, world, engine):
    first, second = replay(api, world), replay(api, world)
    assert PredictionLog(engine).count(LogSelection(1)) == 2 * TRIPS
    assert second.failed == 0
    assert [s.mae for s in second.tally.by_month()] == pytest.approx([s.mae for s in first.tally.by_month()])


def test_a_swap_in_the_middle_loses_no_request(api, world, registry):
    class Promotes(Listener):
        answers = 0

        def answered(self, month: Month, answer: Answer) -> None:
            self.answers += 1
            if self.answers == TRIPS:
                registry.set_alias(CHAMPION, 2)

    played = replay(api, world, Promotes(), pace=Pace(rate=400))
    assert played.failed == 0
    assert {segment.model_version for segment in played.tally.by_month()} == {1, 2}
    assert played.tally.first_answers[2].event_at >= APRIL.starts_at - timedelta(days=1)


def test_what_was_published_is_a_source(api, world, tmp_path):
    replay(api, world, publish_to=tmp_path / "published")
    assert DirectorySource(tmp_path / "published").published() == [MARCH, APRIL]


def test_an_api_without_a_model_fails_every_request_and_says_why(settings, engine, world, tmp_path):
    empty = FakeRegistry(tmp_path / "empty")
    with live_api(settings, empty, engine) as served:
        played = replay(served.api_url, world)
    assert played.failed == played.requests == 2 * TRIPS
    assert all(reason.startswith("/predict: 503") for reason in played.failures)
