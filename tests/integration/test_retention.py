"""Old predictions go with their ground truth; what a window may still need, and everything that was decided, stays."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.loop.context import Pipeline
from autoops.loop.data import retention
from autoops.loop.data.retention import Pruned, first_id_of, prune
from autoops.models.registry import CHAMPION
from autoops.serving.log.inbox import Arrivals, Shipment
from autoops.settings import Settings
from autoops.storage import database, tables
from autoops.storage.predictions import LIVE, Label, LoggedPrediction, Scope
from tests.bundles import register_small
from tests.integration.one_process import pipeline_in
from tests.unit.serving.test_prediction_log import row

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=100), NOW - timedelta(days=1)
BEFORE = NOW - timedelta(days=30)


def of(at: datetime, request_id: str | None = None, version: int = 1, source: str = LIVE) -> LoggedPrediction:
    made = str(uuid_utils.uuid7(nanoseconds=int(at.timestamp() * 1000) * 1_000_000))
    return replace(row(1, request_id), id=made, predicted_at=at, model_version=version, source=source)


@pytest.fixture
def pipeline(each_settings: Settings, each_engine: sa.Engine, tmp_path: Path) -> Pipeline:
    """Version 2 is champion; nothing has been judged."""
    built = pipeline_in(tmp_path, each_settings, each_engine)
    for name in ("first", "second"):
        register_small(built.registry, tmp_path / name)
    built.registry.set_alias(CHAMPION, 2)
    return built


def kept(pipeline: Pipeline) -> tuple[set[str], list[float]]:
    with pipeline.log.engine.connect() as connection:
        ids = set(connection.scalars(sa.select(tables.predictions.c.id)))
        truth = tables.ground_truth.c
        return ids, list(connection.scalars(sa.select(truth.trip_duration_minutes).order_by(truth.id)))


def judged(pipeline: Pipeline, prediction_id: str | None, label_id: int | None) -> None:
    ends = {"last_prediction_id": prediction_id, "last_label_id": label_id}
    none = {"event_from": None, "event_until": None, "report": {}}
    pipeline.checks.append(model_version=2, verdict="no drift", alarm=False, reason="", **ends, **none)


def test_the_first_id_of_a_moment_lies_between_what_was_made_before_and_after() -> None:
    before, at = of(BEFORE - timedelta(milliseconds=1)), of(BEFORE)
    assert before.id < first_id_of(BEFORE) <= at.id


def test_a_label_that_comes_when_all_others_are_gone_is_beyond_what_has_been_read(pipeline: Pipeline) -> None:
    """SQLite would give it the id of one that is gone."""
    old, new = of(OLD, version=2), of(NEW, version=2)
    pipeline.log.append([old])
    pipeline.log.attach([Label(n, prediction_id=old.id) for n in range(5)], OLD)
    (read,) = pipeline.log.latest_labelled(Scope(2), 10)
    judged(pipeline, old.id, read.label_id)
    assert prune(pipeline, BEFORE) == Pruned(predictions=1, labels=4)
    pipeline.log.append([new])
    pipeline.log.attach([Label(9, prediction_id=new.id)], NEW)
    (found,) = pipeline.log.latest_labelled(Scope(2), 10, after=read.label_id)
    assert found.trip_duration_minutes == 9
    assert prune(pipeline, BEFORE) == Pruned(predictions=0, labels=1), "the one that was kept waits for nothing now"


def test_old_predictions_go_with_their_ground_truth_however_it_names_them(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    old = [of(OLD + timedelta(seconds=n), f"old-{n}" if n % 2 else None, version=1) for n in range(10)]
    month = of(OLD, "2023-01/v2/1", version=2, source="2023-01")
    new = [of(NEW, "new", version=1), of(NEW, version=2)]
    pipeline.log.append([*old, month, *new])
    pipeline.log.attach([Label(1, request_id="old-1"), Label(2, prediction_id=old[2].id)], OLD)
    pipeline.log.attach([Label(3, prediction_id=old[4].id), Label(4, request_id="new")], NEW)
    pipeline.log.attach([Label(5, request_id="never came")] * 4, OLD)
    pipeline.log.attach([Label(6, request_id="may come yet")], NEW)
    judged(pipeline, None, None)
    assert prune(pipeline, BEFORE) == Pruned(predictions=11, labels=7)
    assert kept(pipeline) == ({one.id for one in new}, [4, 6])
    assert prune(pipeline, BEFORE) == Pruned(0, 0)
    assert len(pipeline.checks.latest(2)) == 1


def test_what_no_window_of_the_champion_has_used_stays(pipeline: Pipeline) -> None:
    used, late_label, unused = (of(OLD + timedelta(seconds=n)) for n in range(3))
    rows = [replace(one, model_version=2) for one in (used, late_label, unused)]
    pipeline.log.append(rows)
    pipeline.log.attach([Label(1, prediction_id=used.id), Label(2, prediction_id=late_label.id)], OLD)
    assert prune(pipeline, BEFORE) == Pruned(0, 0)
    judged(pipeline, late_label.id, 1)
    assert prune(pipeline, BEFORE) == Pruned(1, 1)
    assert kept(pipeline) == ({late_label.id, unused.id}, [2])
    judged(pipeline, unused.id, 2)
    assert prune(pipeline, BEFORE) == Pruned(2, 0)
    assert kept(pipeline) == (set(), [2]), "the newest label stays until another comes"


def test_live_traffic_that_nobody_watches_is_needed_by_nobody(pipeline: Pipeline) -> None:
    drift = pipeline.settings.drift.model_copy(update={"source": "months"})
    watching_months = replace(pipeline, settings=pipeline.settings.model_copy(update={"drift": drift}))
    pipeline.log.append([of(OLD, version=2)])
    assert prune(watching_months, BEFORE) == Pruned(1, 0)


@pytest.mark.parametrize("each_settings", ["postgresql"], indirect=True)
def test_labels_of_losing_answers_go_once_they_are_old(pipeline: Pipeline) -> None:
    first, other = of(OLD, "ride", version=2), of(OLD, "another ride", version=2)
    lost = [of(OLD + timedelta(seconds=1), one.request_id, version=2) for one in (first, other)]
    arrivals = Arrivals(pipeline.log.engine, pipeline.clock)
    arrivals.take("a", Shipment([(1, first), (2, other)]))
    labels = [(n, OLD, Label(n, prediction_id=one.id)) for n, one in enumerate(lost, 1)]
    arrivals.take("b", Shipment(list(enumerate(lost, 1)), labels))
    assert prune(pipeline, BEFORE) == Pruned(0, 1)
    judged(pipeline, max(first.id, other.id), None)
    assert prune(pipeline, BEFORE) == Pruned(2, 0)
    assert kept(pipeline) == (set(), [2])


def test_pruning_pauses_between_short_transactions_and_gives_the_space_back(pipeline: Pipeline) -> None:
    pipeline.log.append([of(OLD + timedelta(seconds=n), version=1) for n in range(3 * retention.BATCH + 1)])
    pauses: list[float] = []
    size = size_of(pipeline)
    assert prune(pipeline, BEFORE, pauses.append).predictions == 3 * retention.BATCH + 1
    assert len(pauses) >= 4
    assert min(pauses) >= retention.LEAST_PAUSE_S
    if pipeline.log.engine.dialect.name == "sqlite":
        assert size_of(pipeline) < size / 2
        assert wal_of(pipeline).stat().st_size == 0


def test_a_file_of_an_earlier_release_gives_space_back_once_it_was_compacted(pipeline: Pipeline) -> None:
    engine = pipeline.log.engine
    if engine.dialect.name != "sqlite":
        pytest.skip("a matter of SQLite's file")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA auto_vacuum=NONE")
        connection.exec_driver_sql("VACUUM")
    engine.dispose()
    pipeline.log.append([of(OLD + timedelta(seconds=n), version=1) for n in range(2_000)])
    size = size_of(pipeline)
    prune(pipeline, BEFORE, lambda _: None)
    assert size_of(pipeline) >= size
    database.compact(engine)
    assert size_of(pipeline) < size / 2
    with engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA auto_vacuum")) == 2


def test_the_loop_of_labels_without_prediction_goes_on_past_those_that_stay(pipeline: Pipeline) -> None:
    """They came at one moment, more than a batch of them."""
    kept_by_champion = of(OLD, "used", version=2)
    pipeline.log.append([kept_by_champion])
    pipeline.log.attach([Label(1, request_id="used")] * (retention.BATCH + 1), OLD)
    pipeline.log.attach([Label(2, request_id="nothing")] * 3, OLD)
    assert prune(pipeline, BEFORE, lambda _: None) == Pruned(0, 2)


def size_of(pipeline: Pipeline) -> int:
    """Of the database, with what stands in its write-ahead log."""
    engine = pipeline.log.engine
    if engine.dialect.name != "sqlite":
        return 0
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()
    return Path(str(engine.url.database)).stat().st_size


def wal_of(pipeline: Pipeline) -> Path:
    return Path(f"{pipeline.log.engine.url.database}-wal")
