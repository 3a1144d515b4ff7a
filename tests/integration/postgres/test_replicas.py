"""Several processes on one database at the same time, each with its own connections."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TypeVar

import pytest
import sqlalchemy as sa

from autoops.errors import Conflict, StorageUnavailable
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.storage import tables
from autoops.storage.predictions import Label, LoggedPrediction, LogSelection, PredictionLog
from tests.eventually import eventually
from tests.fakes import HeldClock
from tests.integration.postgres.conftest import Connect, waiting
from tests.unit.serving.test_prediction_log import MOMENT, row

Result = TypeVar("Result")
REPLICAS = 4


def at_once(actions: list[Callable[[], Result]]) -> list[Result]:
    """Runs each in a thread, all from the same moment on."""
    together = threading.Barrier(len(actions))

    def run(action: Callable[[], Result]) -> Result:
        together.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def test_requests_that_every_replica_gets_at_once_are_logged_once(connect: Connect) -> None:
    """In other orders, which must not make them wait for each other in a circle."""
    logs = [PredictionLog(connect()) for _ in range(REPLICAS)]
    for turn in range(5):
        batches = [[row(n, f"ride-{turn}-{n}") for n in range(300)][:: 1 if k % 2 else -1] for k in range(REPLICAS)]
        answered = at_once(
            [lambda log=log, rows=rows: log.append(rows) for log, rows in zip(logs, batches, strict=True)]
        )
        standing = [{logged.request_id: logged for logged in answer} for answer in answered]
        assert all(found == standing[0] for found in standing)
        assert set(standing[0].values()) <= {logged for batch in batches for logged in batch}
    assert logs[0].count(LogSelection(1)) == 5 * 300


def test_a_repeat_waits_for_the_commit_of_the_first_and_gets_its_row(connect: Connect, pg_engine: sa.Engine) -> None:
    first, again = row(1, "ride"), row(2, "ride")
    answers: list[list[LoggedPrediction]] = []
    with pg_engine.begin() as connection:
        connection.execute(sa.insert(tables.predictions).values(asdict(first)))
        repeating = threading.Thread(target=lambda: answers.append(PredictionLog(connect()).append([again])))
        repeating.start()
        eventually(lambda: waiting(pg_engine, "Lock"))
    repeating.join()
    assert answers == [[first]]


def test_a_large_batch_is_logged_and_labelled_as_it_is(pg_engine: sa.Engine) -> None:
    log = PredictionLog(pg_engine)
    rows = [row(number, f"ride-{number}") for number in range(10_000)]
    assert log.append(rows) == rows
    labels = [Label(number / 7, request_id=f"ride-{number}") for number in range(10_000)]
    assert log.attach(labels, MOMENT) == ["attached"] * 10_000
    labelled = log.latest_labelled(LogSelection(1), 20_000)
    assert [found.logged for found in labelled] == rows
    assert [found.target for found in labelled] == [label.target for label in labels]


def test_a_claim_has_one_winner_among_processes(connect: Connect) -> None:
    ledgers = [Ledger(connect(), HeldClock()) for _ in range(REPLICAS)]
    number = ledgers[0].open_incident("drift", "slower", actor="monitor")

    def claim(ledger: Ledger, holder: str) -> str:
        try:
            ledger.claim(number, "retrain", holder)
        except Conflict as error:
            return str(error)
        return holder

    said = at_once([lambda ledger=ledger, n=n: claim(ledger, f"run-{n}") for n, ledger in enumerate(ledgers)])
    (winner,) = [word for word in said if word.startswith("run-")]
    assert [word for word in said if word != winner] == [f"incident {number}: retrain is claimed by {winner}"] * 3


def test_a_status_that_several_set_at_once_is_recorded_once(connect: Connect) -> None:
    ledgers = [Ledger(connect(), HeldClock()) for _ in range(REPLICAS)]
    number = ledgers[0].open_incident("drift", "slower", actor="monitor")
    at_once([lambda one=one: one.set_status(number, "waiting_for_data", "not out", actor="me") for one in ledgers])
    at_once([lambda one=one: one.close(number, "promoted", actor="me") for one in ledgers])
    kinds = [entry.kind for entry in ledgers[0].entries(incident_id=number)]
    assert kinds == ["incident opened", "incident waiting for data", "incident closed"]


def test_a_lock_that_is_not_let_go_is_unavailable(connect: Connect, pg_engine: sa.Engine) -> None:
    with pg_engine.begin() as holder:
        holder.execute(sa.text("LOCK TABLE predictions"))
        with pytest.raises(StorageUnavailable, match="lock timeout"):
            PredictionLog(connect(timeout_s=0.05)).append([row(1)])


def test_moments_are_utc_in_the_database_whatever_the_servers_time_zone_is(pg_engine: sa.Engine) -> None:
    logged = row(0)
    assert logged.event_at.utcoffset()
    PredictionLog(pg_engine).append([logged])
    with pg_engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW timezone")) == "America/New_York"
        assert connection.scalar(sa.text("SELECT event_at::text FROM predictions")) == "2023-01-10 15:30:00.123456"


def test_a_check_is_kept_with_figures_that_are_no_numbers(each_engine: sa.Engine) -> None:
    checks = CheckLog(each_engine, HeldClock())
    report = {"mae": float("nan"), "excess": float("inf"), "rows": {3: 0.1}, "source": "2022-05", "note": "näher"}
    checks.append(model_version=1, verdict="drift", alarm=True, reason="slower", event_from=MOMENT, report=report)
    (check,) = checks.latest(1, since=HeldClock().now(), judged=True)
    assert check.report == {"mae": None, "excess": None, "rows": {"3": 0.1}, "source": "2022-05", "note": "näher"}
    assert (check.event_from, check.alarm, check.last_label_id) == (MOMENT, True, None)
