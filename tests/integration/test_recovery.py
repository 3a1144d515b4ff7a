"""What a window of live traffic is made of, how late its labels are, and an incident that is over by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.data.windows import Window, live_window
from autoops.loop.monitor import drift_check
from autoops.loop.monitor.recovery import withdraw
from autoops.loop.promote.promotion import promote_version
from autoops.loop.reports.overview import overview, sentences
from autoops.loop.retrain import retraining
from autoops.models.registry import ModelVersion, champion_of
from autoops.months import Month, parse_months
from autoops.settings import Settings
from autoops.storage import tables
from autoops.storage.predictions import Label
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import context_in, drive, with_champion

APRIL = Month(2022, 4)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in ("steady", "speed")}
    write_sample(made["steady"], parse_months("2022-01..2022-04"), trips_per_month=14_000, seed=7)
    write_sample(made["speed"], [APRIL], trips_per_month=14_000, seed=7, scenario="speed")
    return made


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, worlds: dict[str, Path], tmp_path: Path) -> Context:
    return with_champion(tmp_path, worlds["steady"], engine)


def replay(context: Context, worlds: dict[str, Path], *names: str, begin: int = 0) -> list[dict[str, object]]:
    """A check after each thousand trips."""
    found = []
    for number, name in enumerate(names, begin):
        drive(context, worlds[name], APRIL, slice(number * 1_000, number * 1_000 + 1_000))
        found.append(drift_check.check(context))
    return found


def test_an_incident_that_waits_is_over_after_ordinary_windows_in_a_row(
    context: Context, worlds: dict[str, Path]
) -> None:
    opened = replay(context, worlds, "speed", "speed")[-1]
    assert opened["decision"] == "open incident"
    later: list[dict[str, object]] = []
    while len(later) < 3 or any(found["alarm"] for found in later[-3:]):
        assert [found["recovered"] for found in later] == [[]] * len(later)
        later += replay(context, worlds, "steady", begin=3 + len(later))
    assert later[-1]["recovered"] == [opened["incident_id"]]
    incident = context.ledger.incident(opened["incident_id"])
    assert incident.status == "closed"
    assert incident.outcome.startswith("recovered: the last 3 windows, of trips from 2022-04-")
    assert context.ledger.entries(incident_id=incident.id)[-1].actor == "drift_monitor"


def test_an_alarm_in_between_keeps_it_open(context: Context, worlds: dict[str, Path]) -> None:
    replay(context, worlds, "speed", "speed")
    replay(context, worlds, "steady", "steady", "speed", "steady", begin=3)
    assert [one.status for one in context.ledger.incidents() if one.kind == "drift"] == ["waiting_for_data"]


def test_what_a_retraining_has_taken_up_stays_open(context: Context, worlds: dict[str, Path], tmp_path: Path) -> None:
    incident = replay(context, worlds, "speed", "speed")[-1]["incident_id"]
    context.ledger.claim(incident, retraining.ACTION, "somebody")
    assert [found["recovered"] for found in replay(context, worlds, *["steady"] * 3, begin=3)] == [[], [], []]


def test_what_had_alarmed_is_not_forgotten_while_it_waits(
    settings: Settings, engine: sa.Engine, tmp_path: Path
) -> None:
    """Without labels nobody knows that the error is what it was, however many windows there are."""
    context, begin = context_in(tmp_path, settings, engine), APRIL.starts_at
    incident = context.ledger.open_incident(
        "drift", "loss", actor="test", model_version=1, evidence_start=begin, evidence_end=begin + timedelta(hours=1)
    )
    context.ledger.set_status(incident, "waiting_for_data", "not out", actor="test")
    windows = [
        {
            "checked_at": begin + timedelta(hours=hour),
            "model_version": 1,
            "verdict": "no drift" if hour else "drift",
            "alarm": not hour,
            "reason": "",
            "event_from": begin + timedelta(hours=hour),
            "event_until": begin + timedelta(hours=hour + 1),
            "report": {"detectors": [{"name": "data drift" if hour else "loss", "alarm": not hour}]},
        }
        for hour in range(1_100)
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.checks), windows)
    assert withdraw(context, ModelVersion(1, "run"), "test") == []


def test_how_late_labels_are_stands_with_the_check_and_in_the_status(context: Context, worlds: dict[str, Path]) -> None:
    labels = []
    with _labels_held_back(context, labels):
        drive(context, worlds["steady"], APRIL, slice(0, 1_000))
    context.clock.advance(seconds=3 * 3600)
    context.log.attach(labels[:250], context.clock.now())
    found = drift_check.check(context)
    told = "25% of 1000 predictions are labelled; labels came 3.0 hours after the prediction in the median; loss is "
    assert found["labels"].startswith(told)
    kept = context.checks.latest()[0].report["labels"]
    assert (kept["share"], kept["delay_s"]) == (0.25, 3 * 3600)
    assert kept["behind_s"] > timedelta(hours=12).total_seconds(), "a thousand of these trips take days"
    assert f"labels     {found['labels']}" in sentences(overview(context))


def test_windows_never_share_rows_nor_mix_versions(context: Context, worlds: dict[str, Path]) -> None:
    context.registry.register(replace(context.registry.runs[1], bundle=context.registry.bundle_of(1)))
    windows, labels = [], []
    for number, version in enumerate((1, 1, 2, 2, 1)):
        if champion_of(context.registry).number != version:
            context.clock.advance(seconds=60)
            promote_version(context, version, reason="by turns", actor="me")
        with _labels_held_back(context, labels):
            drive(context, worlds["steady"], APRIL, slice(number * 1_500, number * 1_500 + 1_500))
        context.log.attach(labels[::2], context.clock.now())
        del labels[::2]
        windows.append(_judged(context))
    for judged, version in zip(windows, (1, 1, 2, 2, 1), strict=True):
        rows = [*judged.logged, *(row.logged for row in judged.labelled)]
        assert {row.model_version for row in rows} == {version}
    predictions = [row.id for judged in windows for row in judged.logged]
    truths = [row.label_id for judged in windows for row in judged.labelled]
    assert len(set(predictions)) == len(predictions) == 5_000
    assert len(set(truths)) == len(truths) == 2_000


def _judged(context: Context) -> Window:
    """The window that a check is about to judge, as far as it has rows enough."""
    window = live_window(context, champion_of(context.registry), 1_000)
    assert drift_check.check(context)["verdict"] in ("drift", "no drift")
    left = live_window(context, champion_of(context.registry), 1_000)
    assert not {row.id for row in window.logged} & {row.id for row in left.logged}
    enough = {name: getattr(window, name) for name in ("logged", "labelled") if len(getattr(window, name)) >= 1_000}
    return replace(window, **({"logged": [], "labelled": []} | enough))


@contextmanager
def _labels_held_back(context: Context, held: list[Label]) -> Iterator[None]:
    attach = context.log.attach
    context.log.attach = lambda labels, _: held.extend(labels)
    yield
    context.log.attach = attach
