"""What the gate is given: unseen rows, their segments, and the footprint of the bundle that would serve."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from autoops.drift.monitor import Reference
from autoops.loop.context import Context
from autoops.loop.retrain import comparison
from autoops.loop.retrain.training_window import Months
from autoops.models import bundle
from autoops.models.registry import ModelVersion, TrainingRun
from autoops.models.scoring import Scorer, load_version
from autoops.months import Month
from autoops.settings import Settings, load_settings
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecases.taxi.sample import write_sample
from tests.bundles import register_small, small_forest, write_small_bundle
from tests.conftest import CONFIG
from tests.fakes import FakeRegistry
from tests.integration.one_process import context_in, publish
from tests.taxi import hour_of_day, local_hours

SEEN, UNSEEN = Month(2022, 1), Month(2022, 2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world")
    write_sample(directory, [SEEN, UNSEEN], trips_per_month=9_000, seed=7)
    return directory


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, world: Path, tmp_path: Path) -> Context:
    """With both months ingested."""
    context = context_in(tmp_path, settings, engine)
    publish(world, tmp_path, f"{SEEN}..{UNSEEN}")
    for month in (SEEN, UNSEEN):
        context.store.ingest(context.source, month)
    return context


def version_of(context: Context, trips: pd.DataFrame, directory: Path) -> ModelVersion:
    forest = small_forest(trips)
    digest = write_small_bundle(directory, forest, trips)
    tags = {"bundle_digest": digest, "trained_until": trips["event_at"].iloc[-1].isoformat()}
    return context.registry.register(TrainingRun(forest, None, None, {}, {}, tags, {}, (), directory))


def slower(trips: pd.DataFrame, rows: np.ndarray, by: float) -> pd.DataFrame:
    return trips.assign(**{TARGET: np.where(rows, trips[TARGET] * by, trips[TARGET])})


def test_a_challenger_that_is_better_but_not_at_night_is_rejected_for_the_night(
    context: Context, tmp_path: Path
) -> None:
    trips = context.store.load([SEEN])
    hour = hour_of_day(columns_of(trips)["event_at"])
    night = (hour >= 22) | (hour < 6)
    champion = version_of(context, slower(trips, ~night, 1.5), tmp_path / "champion")
    challenger = version_of(context, slower(trips, night, 1.5), tmp_path / "challenger")

    verdict = comparison.with_champion(context, champion, challenger, Months([SEEN, UNSEEN]))

    # The newer month, and in the older one the days of their holdouts, its last quarter.
    day = local_hours(columns_of(trips)["event_at"]) // 24
    assert verdict.rows == len(context.store.load([UNSEEN])) + (day >= day[len(trips) * 3 // 4]).sum()
    assert verdict.high < 0
    assert verdict.decision == "reject"
    assert {segment.name for segment in verdict.segments if segment.decision == "worse"} == {"hours 22 to 6"}
    content = verdict.to_json()
    assert json.loads(json.dumps(content)) == content


def test_the_same_without_segments_is_promoted(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which are a setting, as the budgets are."""
    trips = context.store.load([SEEN])
    hour = hour_of_day(columns_of(trips)["event_at"])
    night = (hour >= 22) | (hour < 6)
    versions = [
        version_of(context, slower(trips, rows, 1.5), tmp_path / name)
        for name, rows in (("champion", ~night), ("challenger", night))
    ]
    monkeypatch.setenv("AUTOOPS__GATE__SEGMENTS", '["distance_band"]')
    without = replace(context, settings=load_settings(CONFIG))
    assert comparison.with_champion(without, *versions, Months([UNSEEN])).decision == "promote"
    monkeypatch.setenv("AUTOOPS__SERVING__MAX_MODEL_MB", "0.001")
    over = replace(context, settings=load_settings(CONFIG))
    tight = comparison.with_champion(over, *versions, Months([UNSEEN]))
    assert tight.decision == "reject"
    assert "serving.max_model_mb is 0.001" in tight.reason


def test_a_first_version_is_held_against_the_baseline_in_every_segment(context: Context, tmp_path: Path) -> None:
    trips = context.store.load([SEEN])
    verdict = comparison.with_baseline(context, version_of(context, trips, tmp_path / "first"))
    assert verdict.decision == "promote"
    assert "better than the median baseline" in verdict.reason
    assert {segment.decision for segment in verdict.segments} <= {"within margin", "not judged"}
    assert len(verdict.segments) == 8
    assert verdict.model_mb > 0


def test_no_unseen_row_is_no_error(context: Context, tmp_path: Path) -> None:
    version = version_of(context, context.store.load([UNSEEN]), tmp_path / "made")
    verdict = comparison.with_champion(context, version, version, Months([SEEN]))
    assert (verdict.decision, verdict.rows) == ("inconclusive", 0)
    assert verdict.latency_ms > 0


class Timed(Scorer):
    """Answers as another one does, and takes 4 ms for it by its own clock; a second each tenth time."""

    def __init__(self, scorer: Scorer) -> None:
        self.__dict__.update(vars(scorer))
        self.answered = 0
        self.now = 0.0

    def predict(self, matrix):
        assert len(matrix) == 1
        self.answered += 1
        self.now += 1.0 if self.answered % 10 == 0 else 0.004
        return super().predict(matrix)


def test_the_footprint_is_the_file_and_the_median_of_single_trips(tmp_path: Path) -> None:
    registry = FakeRegistry(tmp_path / "registry")
    scorer = load_version(registry, register_small(registry, tmp_path / "made"), tmp_path / "cache")
    timed = Timed(scorer)
    found = comparison.serving_cost(timed, clock=lambda: timed.now)
    assert found.latency_ms == pytest.approx(4.0)
    assert found.model_mb == (scorer.directory / bundle.MODEL).stat().st_size / 1e6
    assert timed.answered == comparison.WARM_UP_ROWS + comparison.TIMED_ROWS
    assert len(Reference.read(scorer.directory, scorer.manifest).window) > comparison.TIMED_ROWS
