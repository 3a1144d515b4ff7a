"""Old predictions go with their ground truth; what a window may still need, and everything that was decided, stays."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.loop.context import Context
from autoops.loop.data import retention
from autoops.loop.data.cursor import MATURED_UNTIL
from autoops.loop.data.retention import Pruned, first_id_of, prune
from autoops.models.registry import CHAMPION
from autoops.serving.log.inbox import Inbox, OutboxBatch
from autoops.settings import Settings
from autoops.storage import database, tables
from autoops.storage.predictions import LIVE, Label, LoggedPrediction, LogSelection
from tests.bundles import register_small
from tests.integration.one_process import context_in
from tests.unit.serving.test_prediction_log import row

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=100), NOW - timedelta(days=1)
BEFORE = NOW - timedelta(days=30)


def of(at: datetime, request_id: str | None = None, version: int = 1, source: str = LIVE) -> LoggedPrediction:
    made = str(uuid_utils.uuid7(nanoseconds=int(at.timestamp() * 1000) * 1_000_000))
    return replace(row(1, request_id), id=made, predicted_at=at, model_version=version, source=source)


@pytest.fixture
def context(each_settings: Settings, each_engine: sa.Engine, tmp_path: Path) -> Context:
    """Version 2 is champion; nothing has been judged."""
    built = context_in(tmp_path, each_settings, each_engine)
    for name in ("first", "second"):
        register_small(built.registry, tmp_path / name)
    built.registry.set_alias(CHAMPION, 2)
    return built


def kept(context: Context) -> tuple[set[str], list[float]]:
    with context.log.engine.connect() as connection:
        ids = set(connection.scalars(sa.select(tables.predictions.c.id)))
        truth = tables.ground_truth.c
        return ids, list(connection.scalars(sa.select(truth.target).order_by(truth.id)))


def judged(
    context: Context, prediction_id: str | None, label_id: int | None, report: Mapping[str, str] | None = None
) -> None:
    ends = {"last_prediction_id": prediction_id, "last_label_id": label_id}
    none = {"event_from": None, "event_until": None, "report": report or {}}
    context.checks.append(model_version=2, verdict="no drift", alarm=False, reason="", **ends, **none)


def test_the_first_id_of_a_moment_lies_between_what_was_made_before_and_after() -> None:
    before, at = of(BEFORE - timedelta(milliseconds=1)), of(BEFORE)
    assert before.id < first_id_of(BEFORE) <= at.id


def test_a_label_that_comes_when_all_others_are_gone_is_beyond_what_has_been_read(context: Context) -> None:
    """SQLite would give it the id of one that is gone."""
    old, new = of(OLD, version=2), of(NEW, version=2)
    context.log.append([old])
    context.log.attach([Label(n, prediction_id=old.id) for n in range(5)], OLD)
    (read,) = context.log.latest_labelled(LogSelection(2), 10)
    judged(context, old.id, read.label_id)
    assert prune(context, BEFORE) == Pruned(predictions=1, labels=4)
    context.log.append([new])
    context.log.attach([Label(9, prediction_id=new.id)], NEW)
    (found,) = context.log.latest_labelled(LogSelection(2), 10, after=read.label_id)
    assert found.target == 9
    assert prune(context, BEFORE) == Pruned(predictions=0, labels=1), "the one that was kept waits for nothing now"


def test_old_predictions_go_with_their_ground_truth_however_it_names_them(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    old = [of(OLD + timedelta(seconds=n), f"old-{n}" if n % 2 else None, version=1) for n in range(10)]
    month = of(OLD, "2023-01/v2/1", version=2, source="2023-01")
    new = [of(NEW, "new", version=1), of(NEW, version=2)]
    context.log.append([*old, month, *new])
    context.log.attach([Label(1, request_id="old-1"), Label(2, prediction_id=old[2].id)], OLD)
    context.log.attach([Label(3, prediction_id=old[4].id), Label(4, request_id="new")], NEW)
    context.log.attach([Label(5, request_id="never came")] * 4, OLD)
    context.log.attach([Label(6, request_id="may come yet")], NEW)
    judged(context, None, None)
    assert prune(context, BEFORE) == Pruned(predictions=11, labels=7)
    assert kept(context) == ({one.id for one in new}, [4, 6])
    assert prune(context, BEFORE) == Pruned(0, 0)
    assert len(context.checks.latest(2)) == 1


def test_what_no_window_of_the_champion_has_used_stays(context: Context) -> None:
    used, late_label, unused = (of(OLD + timedelta(seconds=n)) for n in range(3))
    rows = [replace(one, model_version=2) for one in (used, late_label, unused)]
    context.log.append(rows)
    context.log.attach([Label(1, prediction_id=used.id), Label(2, prediction_id=late_label.id)], OLD)
    assert prune(context, BEFORE) == Pruned(0, 0)
    judged(context, late_label.id, 1)
    assert prune(context, BEFORE) == Pruned(1, 1)
    assert kept(context) == ({late_label.id, unused.id}, [2])
    judged(context, unused.id, 2)
    assert prune(context, BEFORE) == Pruned(2, 0)
    assert kept(context) == (set(), [2]), "the newest label stays until another comes"


def test_where_labels_mature_rows_go_once_a_window_has_consumed_their_event_time(context: Context) -> None:
    rows = [replace(of(OLD + timedelta(seconds=n)), model_version=2, event_at=OLD + timedelta(hours=n)) for n in (1, 2)]
    context.log.append(rows)
    context.log.attach([Label(n, prediction_id=row.id) for n, row in enumerate(rows)], OLD)
    judged(context, rows[1].id, None, {MATURED_UNTIL: (OLD + timedelta(hours=1)).isoformat()})
    assert prune(context, BEFORE) == Pruned(1, 1)
    assert kept(context) == ({rows[1].id}, [1])


def test_live_traffic_that_nobody_watches_is_needed_by_nobody(context: Context) -> None:
    drift = context.settings.drift.model_copy(update={"source": "months"})
    watching_months = replace(context, settings=context.settings.model_copy(update={"drift": drift}))
    context.log.append([of(OLD, version=2)])
    assert prune(watching_months, BEFORE) == Pruned(1, 0)


@pytest.mark.parametrize("each_settings", ["postgresql"], indirect=True)
def test_labels_of_losing_answers_go_once_they_are_old(context: Context) -> None:
    first, other = of(OLD, "ride", version=2), of(OLD, "another ride", version=2)
    lost = [of(OLD + timedelta(seconds=1), one.request_id, version=2) for one in (first, other)]
    inbox = Inbox(context.log.engine, context.clock)
    inbox.take("a", OutboxBatch([(1, first), (2, other)]))
    labels = [(n, OLD, Label(n, prediction_id=one.id)) for n, one in enumerate(lost, 1)]
    inbox.take("b", OutboxBatch(list(enumerate(lost, 1)), labels))
    assert prune(context, BEFORE) == Pruned(0, 1)
    judged(context, max(first.id, other.id), None)
    assert prune(context, BEFORE) == Pruned(2, 0)
    assert kept(context) == (set(), [2])


def test_pruning_pauses_between_short_transactions_and_gives_the_space_back(context: Context) -> None:
    context.log.append([of(OLD + timedelta(seconds=n), version=1) for n in range(3 * retention.BATCH + 1)])
    pauses: list[float] = []
    size = size_of(context)
    assert prune(context, BEFORE, pauses.append).predictions == 3 * retention.BATCH + 1
    assert len(pauses) >= 4
    assert min(pauses) >= retention.LEAST_PAUSE_S
    if context.log.engine.dialect.name == "sqlite":
        assert size_of(context) < size / 2
        assert wal_of(context).stat().st_size == 0


def test_a_file_of_an_earlier_release_gives_space_back_once_it_was_compacted(context: Context) -> None:
    engine = context.log.engine
    if engine.dialect.name != "sqlite":
        pytest.skip("a matter of SQLite's file")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA auto_vacuum=NONE")
        connection.exec_driver_sql("VACUUM")
    engine.dispose()
    context.log.append([of(OLD + timedelta(seconds=n), version=1) for n in range(2_000)])
    size = size_of(context)
    prune(context, BEFORE, lambda _: None)
    assert size_of(context) >= size
    database.compact(engine)
    assert size_of(context) < size / 2
    with engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA auto_vacuum")) == 2


def test_the_loop_of_labels_without_prediction_goes_on_past_those_that_stay(context: Context) -> None:
    """They came at one moment, more than a batch of them."""
    kept_by_champion = of(OLD, "used", version=2)
    context.log.append([kept_by_champion])
    context.log.attach([Label(1, request_id="used")] * (retention.BATCH + 1), OLD)
    context.log.attach([Label(2, request_id="nothing")] * 3, OLD)
    assert prune(context, BEFORE, lambda _: None) == Pruned(0, 2)


def size_of(context: Context) -> int:
    """Of the database, with what stands in its write-ahead log."""
    engine = context.log.engine
    if engine.dialect.name != "sqlite":
        return 0
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()
    return Path(str(engine.url.database)).stat().st_size


def wal_of(context: Context) -> Path:
    return Path(f"{context.log.engine.url.database}-wal")
