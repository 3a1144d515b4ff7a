"""The API's own process: memory ends, the clock jumps, it is told to stop, labels come twice."""

import random
import signal
import sqlite3
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import CHAMPION
from autoops.serving.shutdown import stops_within_s
from autoops.settings import Serving, Settings, Storage
from autoops.storage import tables
from autoops.storage.instances import Instances
from autoops.storage.predictions import LogSelection, PredictionLog
from tests.eventually import eventually
from tests.fakes import HeldClock
from tests.faults.conftest import Serve
from tests.faults.memory import limited
from tests.faults.proxy import Fault, Proxy
from tests.faults.test_mlflow import answers_with
from tests.integration.postgres.conftest import stopped
from tests.integration.serving.conftest import TRIP, serving, with_serving
from tests.postgres import FAST, PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.quick]


def test_the_kernel_may_end_the_api_for_its_memory_and_nothing_is_lost(serve: Serve, settings: Settings) -> None:
    large = {"trips": [TRIP] * 10_000}
    with serve() as api, limited(api.process.pid, more_bytes=20_000_000):
        with suppress(httpx.TransportError):
            while True:
                api.predict()
                answer = api.http.post("/predict/batch", json=large)
                assert answer.status_code == 200
                api.acknowledged += [one["prediction_id"] for one in answer.json()["predictions"]]
        assert api.process.wait(timeout=120) == -signal.SIGKILL
    with serve() as api:
        assert answers_with(api, 1)
        assert set(api.acknowledged) <= set(_logged(sa.create_engine(settings.database_url)))


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_holds_nobody_up(
    settings: Settings, registry: MlflowRegistry, engine: sa.Engine, days: int
) -> None:
    clock, log = HeldClock(), PredictionLog(engine)
    label = {"request_id": "ride-1", "trip_duration_minutes": 5}
    with serving(with_serving(settings), registry, log, Instances(engine), clock) as api:
        eventually(lambda: api.get("/ready").is_success)
        first = api.post("/predict", json=TRIP | {"request_id": "ride-1"}).json()["prediction_id"]
        clock.advance(days=days)
        assert api.post("/predict", json=TRIP | {"request_id": "ride-1"}).json()["prediction_id"] == first
        second = api.post("/predict", json=TRIP).json()["prediction_id"]
        assert api.post("/ground-truth", json={"labels": [label]}).json()["attached"] == 1
        eventually(lambda: _seen_at(engine) == [clock.now()])
        registry.set_alias(CHAMPION, 2)
        eventually(lambda: api.get("/model/info").json()["model_version"] == 2)
    assert [row.id for row in log.latest(LogSelection(1), 10)] == [first, second]


def _seen_at(engine: sa.Engine) -> list[datetime]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(tables.instances.c.seen_at)))


def test_a_stop_while_the_database_is_stalled_ends_before_a_supervisor_loses_patience(
    serve: Serve, tmp_path: Path
) -> None:
    patience = {"storage__timeout_s": 1, "serving__timeout_s": 1}
    with serve(**patience) as api:
        api.predict()
        lock = sqlite3.connect(tmp_path / "var" / "autoops.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        assert api.http.post("/predict", json=TRIP).status_code == 503
        api.process.terminate()
        same = Settings(storage=Storage(timeout_s=1), serving=Serving(timeout_s=1))
        assert api.process.wait(timeout=stops_within_s(same)) == 0
        lock.close()


def test_a_postgres_that_falls_silent_holds_up_no_request_and_no_stop(
    serve: Serve, pg_settings: Settings, pg_engine: sa.Engine
) -> None:
    """It takes what is sent and answers nothing, as a server whose disk hangs."""
    url = sa.make_url(str(pg_settings.storage.url))
    patience = {"storage__timeout_s": 1, "serving__timeout_s": 5}
    with Proxy(url.port or 0) as proxy:
        behind = url.set(port=proxy.port).render_as_string()
        with serve(storage__url=behind, **patience) as api:
            api.predict(request_id="ride-0")
            with proxy.put(Fault("stall"), keep=True):
                for number in range(1, 4):
                    api.predict(request_id=f"ride-{number}")
                label = {"request_id": "ride-1", "trip_duration_minutes": 5}
                assert api.http.post("/ground-truth", json={"labels": [label]}).json()["attached"] == 1
                assert api.is_ready()
                api.process.terminate()
                same = Settings(storage=Storage(timeout_s=1), serving=Serving(timeout_s=5))
                assert api.process.wait(timeout=stops_within_s(same)) == 0
        with serve(storage__url=behind) as api:
            eventually(lambda: sorted(_logged(pg_engine)) == sorted(api.acknowledged))
            assert _labels(pg_engine) == 1


def test_ground_truth_that_comes_twice_and_in_any_order_counts_once(
    serve: Serve, postgres: PostgresServer, pg_settings: Settings, pg_engine: sa.Engine
) -> None:
    """Half of it before its prediction, a part while the database is away, some again after it has counted."""
    log, names = PredictionLog(pg_engine), [f"ride-{number}" for number in range(200)]
    labels = [{"request_id": name, "trip_duration_minutes": 1 + number} for number, name in enumerate(names)]
    shuffled = random.Random(7).sample(labels * 3, 600)
    with serve(storage__url=pg_settings.storage.url) as api:

        def send(some: list[dict[str, object]]) -> None:
            assert api.http.post("/ground-truth", json={"labels": some}).json()["stored"] == len(some)

        send(shuffled[:200])
        for name in names[:100]:
            api.predict(request_id=name)
        with stopped(postgres, FAST):
            for name in names[100:]:
                api.predict(request_id=name)
            send(shuffled[200:])
        eventually(lambda: "autoops_outbox_rows 0.0" in api.http.get("/metrics").text)
        found = log.latest_labelled(LogSelection(1), 200)
        truth = {row.logged.request_id: row.target for row in found}
        assert truth == {label["request_id"]: label["trip_duration_minutes"] for label in labels}
        assert len({row.logged.id for row in found}) == len(found) == 200
        send(labels)
        eventually(lambda: _labels(pg_engine) == 800)
    assert log.latest_labelled(LogSelection(1), 200, after=max(row.label_id for row in found)) == []


def _logged(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(tables.predictions.c.id)))


def _labels(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(tables.ground_truth)) or 0
