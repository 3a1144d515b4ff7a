"""The story on a real API while somebody else, here a thread, does what Airflow's DAGs would do."""

import io
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

from autoops.clock import SystemClock
from autoops.errors import ServiceUnavailable
from autoops.ingestion.source import DirectorySource
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.models.registry import CHAMPION
from autoops.months import Month, month_range
from autoops.replay.client import served_version
from autoops.replay.demo.observer import Observer
from autoops.replay.demo.outcome import sum_up
from autoops.replay.demo.scenarios import bad_promotion
from autoops.replay.demo.story import Story
from autoops.replay.demo.timeline import Timeline
from autoops.replay.demo.worlds import World
from autoops.services.airflow import AirflowClient, DagRun
from autoops.settings import Settings
from autoops.storage.predictions import LogSelection, PredictionLog
from autoops.usecases.taxi.sample import write_sample
from autoops.usecases.taxi.trips import NEW_YORK
from tests.fakes import FakeRegistry
from tests.integration.live_api import live_api, two_versions

MONTHS = list(month_range(Month(2023, 1), Month(2023, 5)))
APRIL, MAY = MONTHS[3:]
WINDOW, TRIPS = 100, 300


class ScriptedLoop:
    """Judges every window of the champion's predictions: those of version 1 alarm from the second on. The alarm
    opens an incident; once its month is published, version 2 takes over."""

    def __init__(self, engine: sa.Engine, registry: FakeRegistry, published: Path) -> None:
        self.log, self.checks = PredictionLog(engine), CheckLog(engine, SystemClock())
        self.ledger = Ledger(engine, SystemClock())
        self.registry, self.source = registry, DirectorySource(published)
        self.fails = False

    def run(self, over: list[bool]) -> None:
        while not over:
            time.sleep(0.05)
            self._check()
            self._heal()

    def _check(self) -> None:
        version = self.registry.aliases[CHAMPION]
        last = self.checks.latest(version)
        rows = self.log.latest(LogSelection(version), WINDOW, last[0].last_prediction_id if last else None)
        if len(rows) < WINDOW:
            return
        alarm = self._alarms(version, before=bool(last))
        self.checks.append(
            model_version=version,
            verdict="drift" if alarm else "no drift",
            alarm=alarm,
            reason="scripted",
            event_from=rows[0].event_at,
            event_until=rows[-1].event_at,
            last_prediction_id=rows[-1].id,
            last_label_id=None,
            report={"detectors": [{"name": "loss", "distance": 1.0, "threshold": 1.0}]},
        )
        if alarm and not self.ledger.incidents():
            span = {"evidence_start": rows[0].event_at, "evidence_end": rows[-1].event_at}
            self.ledger.open_incident("drift", "scripted", actor="test", model_version=version, **span)

    def _alarms(self, version: int, before: bool) -> bool:
        return version == 1 and before

    def _heal(self) -> None:
        for incident in self.ledger.incidents(unresolved=True):
            if Month.of(incident.evidence_end, NEW_YORK) not in self.source.published():
                continue
            if self.fails:
                self.ledger.record("retraining failed", "disk full", actor="test", incident_id=incident.id)
                self.fails = False
                return
            told = {"actor": "test", "incident_id": incident.id, "model_version": 2}
            self.ledger.record("gate", "promote: better", evidence={"decision": "promote"}, **told)
            self.registry.set_alias(CHAMPION, 2)
            self.ledger.record("promoted", "better", **told)
            self.ledger.close(incident.id, "promoted", actor="test")


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    return two_versions(tmp_path)


@pytest.fixture
def served(settings: Settings, registry: FakeRegistry, engine: sa.Engine) -> Iterator[Settings]:
    with live_api(settings, registry, engine) as served:
        yield served


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> type[ScriptedLoop]:
    return getattr(request, "param", ScriptedLoop)


@pytest.fixture
def scripted(
    loop: type[ScriptedLoop], engine: sa.Engine, registry: FakeRegistry, tmp_path: Path
) -> Iterator[ScriptedLoop]:
    (tmp_path / "published").mkdir()
    playing, over = loop(engine, registry, tmp_path / "published"), []
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(playing.run, over)
        yield playing
        over.append(True)
        running.result()


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def story(served: Settings, engine: sa.Engine, tmp_path: Path, told: io.StringIO) -> Story:
    """One that is past its first training."""
    write_sample(tmp_path / "world", MONTHS[3:], trips_per_month=500)
    changes = {
        "data": served.data.model_copy(update={"source": str(tmp_path / "published")}),
        "drift": served.drift.model_copy(update={"window_size": WINDOW}),
    }
    return Story(
        served.model_copy(update=changes),
        World("sample", DirectorySource(tmp_path / "world"), MONTHS[:3], MONTHS[3:]),
        sample=TRIPS,
        rate=300,
        timeline=Timeline(Console(file=told, width=300)),
        observer=Observer(engine, served.contract),
        airflow=AirflowClient("http://127.0.0.1:9", "admin", "secret"),
        served_version=lambda: served_version(served.api_url),
        quiet_s=0.5,
        published=list(MONTHS[:3]),
        version=1,
    )


def test_the_swap_comes_under_traffic_and_the_rest_is_answered_by_the_new_version(story, scripted, told):
    played = story.live_through_the_rest()
    assert (played.failed, story.version, story.published) == (0, 2, MONTHS)
    parts = {(Month.of(p.event_at, NEW_YORK), p.model_version): p.rows for p in played.tally.by_month()}
    assert parts[APRIL, 1] == TRIPS
    assert parts.get((MAY, 1), 0) + parts[MAY, 2] == TRIPS
    lines = [line.split()[1] for line in told.getvalue().splitlines()]
    assert lines.index("promoted") < lines.index("swapped")
    assert lines.count("demo") == 2


class ForcingAirflow(AirflowClient):
    """Has promoted version 2 by the time that it answers."""

    def __init__(self, ledger: Ledger, registry: FakeRegistry) -> None:
        super().__init__("http://127.0.0.1:9", "admin", "secret")
        self.ledger, self.registry = ledger, registry
        self.looks = 0

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        self.registry.set_alias(CHAMPION, 2)
        self.ledger.record("promoted", "forced", actor="test", model_version=2)
        return "run-1"

    def run(self, dag_id: str, run_id: str) -> DagRun:
        self.looks += 1
        return DagRun(run_id, "success" if self.looks > 3 else "running", "manual", {})


class RegretfulLoop(ScriptedLoop):
    """Takes version 2 back a while after its first window was judged, and finds nothing else wrong."""

    def _alarms(self, version: int, before: bool) -> bool:
        return version == 2

    def _heal(self) -> None:
        if self.ledger.incidents(unresolved=True):
            time.sleep(0.5)
            self.ledger.record("rolled back", "worse", actor="test", model_version=2, evidence={"restored": 1})
            self.registry.set_alias(CHAMPION, 1)
            self.ledger.close(1, "rolled back", actor="test")


@pytest.mark.parametrize("loop", [RegretfulLoop], indirect=True)
def test_a_mistake_is_served_and_swapped_back_under_traffic(story, scripted, told):
    airflow, scenario = ForcingAirflow(scripted.ledger, scripted.registry), bad_promotion(MAY, MONTHS[:3])
    played = replace(story, airflow=airflow, world=replace(story.world, acts=[scenario])).live_through_the_rest()
    assert played.failed == 0
    parts = {(Month.of(p.event_at, NEW_YORK), p.model_version): p.rows for p in played.tally.by_month()}
    assert (parts[APRIL, 1], parts[MAY, 1] + parts[MAY, 2]) == (TRIPS, TRIPS)
    assert WINDOW <= parts[MAY, 2] < 1.5 * WINDOW
    lines = [line.split(None, 1)[1] for line in told.getvalue().splitlines()]
    swaps = [line.split()[-1] for line in lines if line.startswith("swapped")]
    assert swaps == ["2", "1"]
    assert served_version(story.settings.api_url) == 1


def test_every_window_is_judged_before_event_time_moves_on(story, scripted):
    played = story.live_through_the_rest()
    judged = [check for check in story.observer.checks() if check.model_version == 1]
    answered = sum(part.rows for part in played.tally.by_month() if part.model_version == 1)
    assert len(judged) >= answered // (2 * WINDOW)


def test_the_figures_follow_from_what_was_left_on_record(story, scripted):
    played = story.live_through_the_rest()
    summary = sum_up("months/", played, story.observer, 2, story.served_version(), 60.0).summary
    april, may = summary.steps
    assert (april.month, april.model_version, april.alarm, april.decision) == ("2023-04", 1, True, "promote")
    assert (may.month, may.model_version, may.alarm, may.verdict) == ("2023-05", 2, False, "no drift")
    assert summary.alarm_to_served_s is not None
    assert 0 < summary.alarm_to_served_s < 60
    assert summary.complaints() == []


def test_a_retraining_that_fails_ends_the_story_and_the_replay(story, scripted):
    scripted.fails = True
    with pytest.raises(ServiceUnavailable, match="disk full"):
        story.live_through_the_rest()
