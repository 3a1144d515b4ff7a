"""What the queries of the API, the loop, the exporter, the console and `prune` read of a large log: as much as is asked
for, and not the log.

Work is counted while the public functions run: PostgreSQL's own counters of rows and index entries read, and SQLite's
steps of its virtual machine, some fifteen to a row. The size at which every change is tested is large enough for
the planners to choose as they do at a million rows, which `scripts/test.sh all` uses.
"""

import ctypes
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.alerts.watch import watch
from autoops.clock import SystemClock
from autoops.loop.context import Context
from autoops.loop.data.label_coverage import LOOKED_THROUGH, coverage_of
from autoops.loop.data.label_lag import lag_of
from autoops.loop.data.labelled_log import logged_months, rows_of
from autoops.loop.data.retention import Pruned, prune
from autoops.loop.data.windows import live_window
from autoops.loop.metrics.collector import LoopFigures
from autoops.models.registry import champion_of
from autoops.months import Month
from autoops.settings import Settings
from autoops.storage import database, tables
from autoops.storage.predictions import LIVE, Label, LogSelection
from autoops.web import answers
from autoops.web.pages import Pages, View
from tests.conftest import configured, stored_at
from tests.large_log import SPAN, LargeLog, context_on, fill
from tests.memory import memory_bytes

WINDOW = 1_000
STEPS_PER_ROW = 15
"""Of SQLite's virtual machine, for what PostgreSQL counts as one row or index entry."""


@dataclass
class Database:
    """A filled database, and what is read of it."""

    engine: sa.Engine
    settings: Settings
    log: LargeLog

    def __post_init__(self) -> None:
        self.steps = 0
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", lambda driver, _: driver.set_progress_handler(self._count, 100))

    def _count(self) -> int:
        self.steps += 100
        return 0

    def read_by(self, action: Callable[[], Any]) -> float:
        """Run the action and return the rows that it read."""
        self.engine.dispose()
        before = self._rows()
        action()
        self.engine.dispose()
        return self._rows() - before

    def _rows(self) -> float:
        """PostgreSQL's counters come from a connection when it ends."""
        if self.engine.dialect.name == "sqlite":
            return self.steps / STEPS_PER_ROW
        url = self.engine.url.set(drivername="postgresql+psycopg")
        observer = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with observer.connect() as connection:
            others = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            while connection.scalar(sa.text(others + " AND backend_type = 'client backend'")):
                time.sleep(0.01)
            read = ("sum(seq_tup_read) FROM pg_stat_user_tables", "sum(idx_tup_read) FROM pg_stat_user_indexes")
            return sum(float(connection.scalar(sa.text(f"SELECT {what}")) or 0) for what in read)


@pytest.fixture(scope="module", params=[200_000, pytest.param(1_000_000, marks=pytest.mark.study)])
def rows(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, rows: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with configured({"storage.home": tmp_path_factory.mktemp("large") / "var"}) as settings:
        if request.param == "postgresql":
            settings = stored_at(settings, request.getfixturevalue("postgres").new_database())
        engine = database.connect(settings)
        database.upgrade(engine)
        log = fill(engine, rows)
        engine.dispose()
        yield Database(engine, settings, log)
        engine.dispose()


@pytest.fixture
def before(filled: Database, tmp_path: Path) -> Context:
    """As it was before the promotion: version 2 has served for long."""
    return context_on(filled.engine, filled.settings, tmp_path, filled.log, champion=2)


@pytest.fixture
def promoted(filled: Database, tmp_path: Path) -> Context:
    """Version 3 serves again, and no prediction of its new reign has a label yet."""
    return context_on(filled.engine, filled.settings, tmp_path, filled.log, champion=3)


def record(context: Context, prediction_id: str | None, label_id: int | None) -> None:
    """A check that ended there."""
    context.checks.append(
        model_version=champion_of(context.registry).number,
        verdict="no drift",
        alarm=False,
        reason="",
        event_from=None,
        event_until=None,
        last_prediction_id=prediction_id,
        last_label_id=label_id,
        report={},
    )


def memory_at_rest() -> int:
    """What is resident once all that is free was given back, from where the peak is counted anew."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return memory_bytes("self", "VmRSS")


def test_a_window_reads_a_window(filled: Database, before: Context) -> None:
    """A check with a day of traffic and labels behind it."""
    champion, scope = champion_of(before.registry), LogSelection(2, LIVE)
    newest = before.log.latest(scope, 5 * WINDOW)[0].id
    labels = before.log.latest_labelled(scope, 5 * WINDOW)[0].label_id
    record(before, newest, labels)
    window = live_window(before, champion, WINDOW)
    assert (len(window.logged), len(window.labelled)) == (WINDOW, WINDOW)
    assert filled.read_by(lambda: live_window(before, champion, WINDOW)) < 30 * WINDOW
    assert filled.read_by(lambda: lag_of(before, window)) < 20 * WINDOW


def test_the_first_check_after_a_promotion_reads_what_came_since(filled: Database, promoted: Context) -> None:
    """Labels of the version before go on to come, and what version 3 answered in its first reign is as long as the
    log."""
    since = int(filled.log.rows * 0.01)
    champion = champion_of(promoted.registry)
    window = live_window(promoted, champion, 10 * WINDOW)
    assert len(window.logged) == int(since * 0.9)
    assert window.labelled == []
    read = filled.read_by(lambda: live_window(promoted, champion, 10 * WINDOW))
    assert read < 15 * since + 20 * WINDOW
    assert filled.read_by(lambda: coverage_of(promoted, champion)) < 12 * LOOKED_THROUGH
    assert window.cursor.label_id is not None
    record(promoted, window.cursor.prediction_id, window.cursor.label_id)
    again = filled.read_by(lambda: live_window(promoted, champion, WINDOW))
    assert again < 15 * filled.log.rows / 115 + 20 * WINDOW, "no more than a day's labels"


@pytest.mark.parametrize("name", ["ride-1", "nothing"])
def test_one_prediction_is_found_by_one_lookup(filled: Database, promoted: Context, name: str) -> None:
    assert filled.read_by(lambda: promoted.log.find(name)) < 50


def test_labels_and_repeats_look_up_their_own_predictions(filled: Database, promoted: Context) -> None:
    first = promoted.log.labelled_by_request([f"ride-{n}" for n in range(1, 2 * WINDOW, 2)])
    assert len(first) == WINDOW
    assert filled.read_by(lambda: promoted.log.labelled_by_request(list(map(str, first)))) < 20 * WINDOW
    labels = [Label(1.0, request_id=f"unknown-{n}") for n in range(WINDOW)]
    assert filled.read_by(lambda: promoted.log.attach(labels, filled.log.now)) < 20 * WINDOW
    repeated = [replace(row.logged, id=str(uuid_utils.uuid7())) for row in first.values()]
    assert filled.read_by(lambda: promoted.log.append(repeated)) < 20 * WINDOW


def test_what_the_log_has_to_train_on_is_read_once(filled: Database, promoted: Context) -> None:
    months: list[Month] = []
    read = filled.read_by(lambda: months.extend(logged_months(promoted)))
    assert (months[0], months[-1]) == (Month(2025, 6), Month(2025, 9))
    assert read < 10 * filled.log.rows


def test_what_is_trained_on_is_read_twice_at_the_most(filled: Database, promoted: Context) -> None:
    """More of them than are made a frame at a time."""
    july: list[pd.DataFrame] = []
    at_rest = memory_at_rest()
    read = filled.read_by(lambda: july.append(rows_of(promoted, [Month(2025, 7)])))
    assert memory_bytes("self", "VmHWM") - at_rest < 300 * filled.log.rows, (
        "bytes: an object for each label would take some thousand"
    )
    whole = filled.log.rows * timedelta(days=31) / SPAN * 0.9
    assert whole * 0.99 < len(july[0]) < whole * 1.01
    assert july[0]["event_at"].is_monotonic_increasing
    assert read < 20 * filled.log.rows


def test_the_exporter_reads_no_prediction(filled: Database) -> None:
    figures = LoopFigures(filled.engine, SystemClock(), 3600)
    assert filled.read_by(figures.collect) < 2_000


def test_a_round_of_the_watchdog_reads_no_prediction(filled: Database, promoted: Context) -> None:
    assert filled.read_by(lambda: watch(promoted, patience_s=0)) < 2_000


def test_prune_reads_what_it_deletes(filled: Database, promoted: Context) -> None:
    """The oldest hundredth, with its labels; the last test of this database but that of a long history."""
    before = filled.log.at(0.01)
    pruned: list[Pruned] = []
    read = filled.read_by(lambda: pruned.append(prune(promoted, before, pause=lambda _: None)))
    assert pruned[0].predictions == filled.log.rows / 100
    assert pruned[0].labels == filled.log.rows / 100
    assert read < 80 * filled.log.rows / 100


def live_long(filled: Database, incidents: int = 500, checks: int = 5_000) -> None:
    """As after years: many incidents, each with a run that promoted nothing, and checks in between."""
    now, about = filled.log.now, {"actor": "test", "model_version": 3, "evidence": {}}
    kinds = ("incident opened", "retraining begun", "trained", "gate", "incident closed")
    gate = {"decision": "reject", "reason": "worse", "difference": None, "segments": [], "settled_by": None}
    begun = {"months": ["2025-06"], "run_id": "scheduled__1"}
    evidence = {"gate": gate, "retraining begun": begun}
    bounds = {"mean": 3.0, "low": None, "high": None}
    report = {"errors": {"rows": 1_000, "confidence": 0.95, "absolute": bounds}, "detectors": [], "features": []}
    with filled.engine.begin() as connection:
        rows: list[dict[str, Any]] = [
            {"opened_at": now, "kind": "drift", "reason": "odd", "model_version": 3, "status": "closed"}
            for _ in range(incidents)
        ]
        connection.execute(sa.insert(tables.incidents), rows)
        numbers = connection.scalars(sa.select(tables.incidents.c.id)).all()
        rows = [
            about
            | {"at": now, "kind": kind, "reason": "odd", "incident_id": number, "evidence": evidence.get(kind, {})}
            for number in numbers
            for kind in kinds
        ]
        rows += [about | {"at": now, "kind": "check", "reason": "no drift", "incident_id": None}] * checks
        connection.execute(sa.insert(tables.ledger), rows)
        rows = [
            {
                "checked_at": now,
                "model_version": 3,
                "verdict": "no drift",
                "alarm": False,
                "reason": "",
                "event_from": now - timedelta(days=1),
                "event_until": now,
                "report": report,
            }
        ] * checks
        connection.execute(sa.insert(tables.checks), rows)
    if filled.engine.dialect.name == "postgresql":  # what its autovacuum does within a minute
        with filled.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")


def test_the_console_reads_no_prediction_and_no_more_the_longer_the_history(
    filled: Database, promoted: Context
) -> None:
    live_long(filled)
    pages, parts = Pages(promoted, can_retrain=True), list[str]()
    read = filled.read_by(lambda: parts.extend(pages.parts(View(), may_act=True).values()))
    assert "incident 500" in "".join(parts).lower().replace("#", "incident ")
    assert read < 25_000
    for question, query in (("served", {"at": "2025-09-01"}), ("ledger", {}), ("ledger", {"incident": "7"})):
        assert filled.read_by(lambda ask=question, given=query: answers.QUESTIONS[ask](promoted, given)) < 12_000
