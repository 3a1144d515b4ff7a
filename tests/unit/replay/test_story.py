"""The story against an Airflow that does what it is told here; the real one plays in tests/e2e."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

from autoops.errors import ServiceUnavailable
from autoops.ingestion.source import DirectorySource
from autoops.loop.records.ledger import Ledger
from autoops.months import Month, month_range
from autoops.replay.demo.observer import Observer
from autoops.replay.demo.story import Story
from autoops.replay.demo.timeline import Timeline
from autoops.replay.demo.worlds import World
from autoops.services.airflow import AirflowClient, DagRun
from autoops.settings import Settings
from tests.fakes import HeldClock
from tests.unit.replay.worlds import write_month

MONTHS = list(month_range(Month(2023, 1), Month(2023, 4)))
DISCARD = 9
"""A port on which nothing listens."""


class FakeAirflow(AirflowClient):
    """Accepts triggers; a run ends at once, in `state`, after `work` was done."""

    def __init__(self, state: str, work: Any) -> None:
        super().__init__("http://airflow", "admin", "secret")
        self.triggered: list[tuple[str, Mapping[str, Any]]] = []
        self._state = state
        self._work = work

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        self.triggered.append((dag_id, conf or {}))
        self._work()
        return "run-1"

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return DagRun(run_id, self._state, "manual", {})


class Stand:
    """A story with all that stands around it."""

    def __init__(self, settings: Settings, engine: sa.Engine, tmp_path: Path, state: str = "success") -> None:
        for month in MONTHS:
            write_month(tmp_path / "world", month)
        self.published = tmp_path / "published"
        self.ledger = Ledger(engine, HeldClock())
        self.told = io.StringIO()
        self.served: int | None = None
        self.work = lambda: None
        self.airflow = FakeAirflow(state, lambda: self.work())
        self.story = Story(
            settings.model_copy(
                update={
                    "data": settings.data.model_copy(update={"source": str(self.published)}),
                    "serving": settings.serving.model_copy(update={"port": DISCARD}),
                }
            ),
            World("sample", DirectorySource(tmp_path / "world"), MONTHS[:3], MONTHS[3:]),
            sample=60,
            rate=100,
            timeline=Timeline(Console(file=self.told, width=200)),
            observer=Observer(engine, settings.contract),
            airflow=self.airflow,
            served_version=lambda: self.served,
            quiet_s=0.1,
        )


@pytest.fixture
def stand(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Stand:
    return Stand(settings, engine, tmp_path)


def serve(stand: Stand, version: int) -> None:
    stand.ledger.record("promoted", "better than the median", actor="airflow", model_version=version)
    stand.served = version


def test_the_first_months_are_published_and_airflow_is_asked_for_a_model(stand):
    stand.work = lambda: serve(stand, 1)
    stand.story.train_first_model()
    assert len(list(stand.published.iterdir())) == 3
    assert stand.airflow.triggered == [("retrain", {"reason": "first model"})]
    assert stand.story.version == 1


def test_what_stands_in_the_ledger_is_told_with_the_time(stand):
    stand.work = lambda: serve(stand, 1)
    stand.story.train_first_model()
    assert "0:00  promoted                 better than the median" in stand.told.getvalue()


def test_a_failed_training_ends_the_story_with_its_reason(stand):
    stand.work = lambda: stand.ledger.record("retraining failed", "run-1 failed at train: disk full", actor="airflow")
    with pytest.raises(ServiceUnavailable, match="disk full"):
        stand.story.train_first_model()


def test_a_first_model_that_is_not_promoted_ends_the_story(stand):
    with pytest.raises(ServiceUnavailable, match="no version is served"):
        stand.story.train_first_model()


def test_an_api_that_cannot_be_reached_counts_every_trip_as_failed(stand):
    stand.story.published = list(MONTHS[:3])
    played = stand.story.live_through_the_rest()
    assert played.failed == played.requests == 60
    assert (stand.published / "green_tripdata_2023-04.parquet").exists()
    assert "2023-04 is over and published" in stand.told.getvalue()
