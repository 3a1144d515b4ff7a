"""The server goes away and comes back: what was acknowledged is there, the rest is StorageUnavailable."""

import signal
import threading
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.clock import SystemClock
from autoops.errors import AutoOpsError, StorageUnavailable
from autoops.loop.records.ledger import Ledger
from autoops.settings import Settings
from autoops.storage import database, tables
from autoops.storage.instances import Instances
from autoops.storage.predictions import Label, LogSelection, PredictionLog
from tests.conftest import stored_at
from tests.eventually import eventually
from tests.integration.live_api import live_api, two_versions
from tests.integration.postgres.conftest import Connect, stopped, waiting
from tests.integration.serving.conftest import TRIP
from tests.ports import free_port
from tests.postgres import FAST, IMMEDIATE, PostgresServer
from tests.unit.serving.test_prediction_log import MOMENT, row

ROWS = 20
EITHER_WAY = pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["stopped", "crashed"])


class Appender:
    """Appends without a pause, as the API's writer does under load."""

    def __init__(self, engine: sa.Engine) -> None:
        self._log = PredictionLog(engine)
        self._stopping = False
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: list[str] = []
        self.failures: list[AutoOpsError] = []
        self.defects: list[Exception] = []

    def __enter__(self) -> "Appender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            rows = [row(number, str(uuid_utils.uuid7())) for number in range(ROWS)]
            try:
                self.acknowledged += [standing.id for standing in self._log.append(rows)]
            except StorageUnavailable as error:
                self.failures.append(error)
            except Exception as error:  # noqa: BLE001 - the test says which
                self.defects.append(error)
                return


def test_a_server_that_restarts_under_load_loses_nothing_that_was_acknowledged(
    postgres: PostgresServer, pg_engine: sa.Engine
) -> None:
    with Appender(pg_engine) as appender:
        for how in (FAST, IMMEDIATE, FAST, IMMEDIATE):
            acknowledged, failures = len(appender.acknowledged), len(appender.failures)
            eventually(lambda since=acknowledged: len(appender.acknowledged) > since + 5 * ROWS or appender.defects)
            with stopped(postgres, how):
                eventually(lambda since=failures: len(appender.failures) > since or appender.defects)
        acknowledged = len(appender.acknowledged)
        eventually(lambda: len(appender.acknowledged) > acknowledged or appender.defects)
    assert appender.defects == []
    with pg_engine.connect() as connection:
        logged = set(connection.scalars(sa.select(tables.predictions.c.id)))
    assert set(appender.acknowledged) <= logged
    assert len(logged) % ROWS == 0, "an append is all or nothing"


@EITHER_WAY
def test_every_use_of_the_database_goes_on_after_a_restart(
    postgres: PostgresServer, pg_engine: sa.Engine, how: signal.Signals
) -> None:
    clock = SystemClock()
    log, instances, ledger = PredictionLog(pg_engine), Instances(pg_engine), Ledger(pg_engine, clock)
    uses = (
        lambda: log.append([row(1)]),
        lambda: log.attach([Label(5.0, request_id="ride")], MOMENT),
        lambda: log.latest_labelled(LogSelection(1), 10),
        lambda: instances.beat("a", 1, MOMENT, MOMENT),
        lambda: instances.serving(MOMENT),
        lambda: ledger.record("promoted", "because", actor="me"),
        lambda: ledger.incidents(),
        lambda: database.upgrade(pg_engine),
    )
    for use in uses:
        use()
        with stopped(postgres, how):
            pass
        use()
        with stopped(postgres, how):
            for _ in range(2):
                with pytest.raises(StorageUnavailable):
                    use()
        use()


def test_a_server_that_ends_in_the_middle_of_a_statement_is_unavailable(
    postgres: PostgresServer, pg_engine: sa.Engine
) -> None:
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            with database.storage_errors(), pg_engine.connect() as connection:
                connection.execute(sa.text("SELECT pg_sleep(60)"))
        except StorageUnavailable as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(lambda: waiting(pg_engine, "PgSleep"))
    with stopped(postgres, FAST):
        asking.join()
    (error,) = raised
    assert "\n" not in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_server_that_cannot_be_reached_is_unavailable(settings: Settings, host: str) -> None:
    engine = database.connect(stored_at(settings, f"postgresql+psycopg://me:secret@{host}:{free_port()}/autoops"))
    with pytest.raises(StorageUnavailable) as raised:
        database.upgrade(engine)
    assert host in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_server_that_takes_no_writes_is_unavailable(pg_engine: sa.Engine) -> None:
    """What a standby says, or a primary whose disk its operator protects."""
    with pg_engine.begin() as connection:
        name = connection.scalar(sa.select(sa.func.current_database()))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    pg_engine.dispose()
    with pytest.raises(StorageUnavailable, match="read-only"):
        PredictionLog(pg_engine).append([row(1)])


def test_connections_that_are_all_taken_are_unavailable(connect: Connect) -> None:
    engine = connect(timeout_s=0.05)
    held = [engine.connect() for _ in range(engine.pool.size() + 3)]  # type: ignore[attr-defined]
    with pytest.raises(StorageUnavailable, match="no connection became free"):
        PredictionLog(engine).append([row(1)])
    held.pop().close()
    assert PredictionLog(engine).append([row(2)])
    for connection in held:
        connection.close()


@EITHER_WAY
def test_the_api_goes_on_while_the_database_is_away_and_signs_in_again(
    settings: Settings, postgres: PostgresServer, pg_engine: sa.Engine, tmp_path: Path, how: signal.Signals
) -> None:
    label = {"labels": [{"request_id": "ride-1", "trip_duration_minutes": 5}]}
    bodies = (("/predict", TRIP), ("/predict/batch", {"trips": [TRIP] * 3}), ("/ground-truth", label))
    with (
        live_api(settings, two_versions(tmp_path), pg_engine) as live,
        httpx.Client(base_url=live.api_url, timeout=30) as api,
    ):
        instance = api.get("/model/info").json()["instance_id"]
        with stopped(postgres, how):
            for path, body in bodies:
                assert api.post(path, json=body).status_code == 200
        eventually(lambda: PredictionLog(pg_engine).count(LogSelection(1)) == 4)
        assert instance in [alive.id for alive in Instances(pg_engine).serving(MOMENT)]
