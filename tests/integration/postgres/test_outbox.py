"""The API while PostgreSQL is away, is killed meanwhile, comes back: real processes, a real server."""

import asyncio
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from autoops.settings import Settings
from autoops.storage import tables
from autoops.storage.predictions import LogSelection, PredictionLog
from tests.eventually import eventually
from tests.fakes import DirectoryRegistry
from tests.integration.postgres.conftest import stopped
from tests.integration.serving.conftest import TRIP, runs  # noqa: F401  a fixture
from tests.integration.serving.test_bad_input import problem_of
from tests.integration.serving.test_durability import process, shared_registry  # noqa: F401  a fixture
from tests.load import Acknowledged, ask_until_killed
from tests.postgres import FAST, IMMEDIATE, PostgresServer

pytestmark = pytest.mark.system

Serve = Callable[..., "contextmanager[tuple[subprocess.Popen[bytes], httpx.Client]]"]
LABEL = {"request_id": "ride-1", "trip_duration_minutes": 5}


@pytest.fixture
def serve(pg_settings: Settings, pg_engine: sa.Engine, shared_registry: DirectoryRegistry, tmp_path: Path) -> Serve:  # noqa: F811
    """An API process on the database, in the same home each time."""

    @contextmanager
    def begin(**environment: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
        named = {"AUTOOPS__STORAGE__URL": str(pg_settings.storage.url)} | environment
        with (
            process(tmp_path, shared_registry, **named) as (server, url),
            httpx.Client(base_url=url, timeout=30) as api,
        ):
            yield server, api

    return begin


def outboxes(settings: Settings) -> list[Path]:
    return sorted((settings.storage.home / "outbox").glob("*.db"))


def logged(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(tables.predictions.c.id)))


def gauge(api: httpx.Client, name: str) -> float:
    (line,) = [line for line in api.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def predict(api: httpx.Client, **changes: object) -> str:
    answer = api.post("/predict", json=TRIP | changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["prediction_id"])


def kill_under_load(server: subprocess.Popen[bytes], api: httpx.Client, load: Acknowledged, rows: int) -> None:
    enough = len(load.predictions) + rows

    def kill() -> None:
        eventually(lambda: len(load.predictions) >= enough)
        server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    asyncio.run(ask_until_killed(str(api.base_url), load))
    killer.join()
    server.wait(timeout=120)


def test_killed_under_load_with_the_database_away_nothing_acknowledged_is_lost_or_doubled(
    serve: Serve, postgres: PostgresServer, pg_engine: sa.Engine, pg_settings: Settings
) -> None:
    load = Acknowledged()
    with serve() as (server, api):
        kill_under_load(server, api, load, 300)
    with stopped(postgres, IMMEDIATE):
        for _ in range(2):
            with serve() as (server, api):
                kill_under_load(server, api, load, 300)
    with serve() as (server, api):
        threading.Timer(0.3, lambda: (postgres.stop(FAST), postgres.start())).start()
        kill_under_load(server, api, load, 1500)
    with serve() as (server, _):
        server.terminate()
        assert server.wait(timeout=120) in (-signal.SIGTERM, 0)
    eventually(lambda: postgres.running)
    pg_engine.dispose()
    figures = load.figures(pg_engine)
    assert figures.perfect, figures
    assert figures.acknowledged >= 2400
    assert figures.labels > 200
    assert load.refused == 0
    assert outboxes(pg_settings) == []


def test_predictions_and_labels_go_on_while_the_database_is_away_and_arrive_in_order(
    serve: Serve, postgres: PostgresServer, pg_engine: sa.Engine
) -> None:
    with serve() as (_, api):
        before = [predict(api) for _ in range(3)]
        with stopped(postgres, FAST):
            away = [predict(api, request_id=f"ride-{number}") for number in range(20)]
            batch = api.post("/predict/batch", json={"trips": [TRIP] * 30}).json()["predictions"]
            labels = [LABEL, LABEL | {"request_id": "unheard of"}]
            receipt = api.post("/ground-truth", json={"labels": labels}).json()
            assert (receipt["attached"], receipt["pending"]) == (1, [1])
            assert gauge(api, "autoops_outbox_rows") >= 52
            assert gauge(api, "autoops_outbox_oldest_seconds") > 0
            assert gauge(api, "autoops_outbox_database_away") == 1
            assert api.get("/ready").is_success
        eventually(lambda: gauge(api, "autoops_outbox_rows") == 0)
        after = predict(api, request_id="ride-20")
        assert gauge(api, "autoops_outbox_database_away") == 0
        log = PredictionLog(pg_engine)
        expected = [*before, *away, *(one["prediction_id"] for one in batch), after]
        assert [row.id for row in log.latest(LogSelection(1), 100)] == expected
        (labelled,) = log.latest_labelled(LogSelection(1), 10)
        assert (labelled.logged.id, labelled.target) == (away[1], 5.0)


def test_a_process_starts_while_the_database_is_away_and_answers_repeats_of_before(
    serve: Serve, postgres: PostgresServer, pg_engine: sa.Engine
) -> None:
    with serve() as (server, api):
        arrived = predict(api, request_id="ride-1")
        with stopped(postgres, FAST):
            waiting = predict(api, request_id="ride-2")
            server.kill()
            server.wait()
            with serve() as (_, again):
                assert predict(again, request_id="ride-1") == arrived
                assert predict(again, request_id="ride-2") == waiting
                new = predict(again, request_id="ride-3")
    with serve():
        eventually(lambda: sorted(logged(pg_engine)) == sorted([arrived, waiting, new]))


def test_a_repeat_at_another_instance_gets_the_first_answer_and_while_the_database_is_away_its_own(
    serve: Serve, postgres: PostgresServer, pg_engine: sa.Engine
) -> None:
    with serve() as (_, one), serve() as (_, other):
        first = predict(one, request_id="ride-1")
        assert predict(other, request_id="ride-1") == first
        with stopped(postgres, FAST):
            answers = {predict(api, request_id="ride-2") for api in (one, other)}
            for api in (one, other):
                assert predict(api, request_id="ride-2") in answers
        assert len(answers) == 2
        eventually(lambda: not any(gauge(api, "autoops_outbox_rows") for api in (one, other)))
        (standing,) = answers & set(logged(pg_engine))
        assert {predict(api, request_id="ride-2") for api in (one, other)} == {standing}
        (lost,) = answers - {standing}
        names = ({"prediction_id": lost}, {"request_id": "ride-2"})
        labels = [name | {"trip_duration_minutes": 7 + n} for n, name in enumerate(names)]
        answer = one.post("/ground-truth", json={"labels": labels}).json()
        assert (answer["pending"], answer["attached"]) == ([0], 1)
    (labelled,) = PredictionLog(pg_engine).latest_labelled(LogSelection(1), 10)
    assert (labelled.logged.id, labelled.target) == (standing, 8.0)


def test_the_outbox_of_a_process_that_is_gone_is_adopted(
    serve: Serve, postgres: PostgresServer, pg_engine: sa.Engine, pg_settings: Settings
) -> None:
    with serve() as (gone, dying), serve() as (_, staying):
        with stopped(postgres, FAST):
            ids = [predict(dying) for _ in range(5)]
            staying_id = predict(staying)
            assert len(outboxes(pg_settings)) == 2
            gone.kill()
            gone.wait()
        eventually(lambda: set(logged(pg_engine)) == {*ids, staying_id})
        eventually(lambda: len(outboxes(pg_settings)) == 1)


def test_an_outbox_that_is_full_is_unavailable_until_the_database_is_back(
    serve: Serve, postgres: PostgresServer, pg_engine: sa.Engine
) -> None:
    with serve(AUTOOPS__SERVING__OUTBOX_MAX_ROWS="10") as (_, api):
        with stopped(postgres, FAST):
            ids = [predict(api) for _ in range(8)]
            for path, body in (("/predict/batch", {"trips": [TRIP] * 3}), ("/ground-truth", {"labels": [LABEL] * 3})):
                answer = api.post(path, json=body)
                assert problem_of(answer, 503).detail == "the database is not available; nothing was stored"
                assert answer.headers["retry-after"] == "1"
            ids += [predict(api) for _ in range(2)]
            assert api.post("/predict", json=TRIP).status_code == 503
            assert api.get("/ready").is_success
        eventually(lambda: api.post("/predict", json=TRIP | {"request_id": "after"}).is_success)
        eventually(lambda: gauge(api, "autoops_outbox_rows") == 0)
    assert set(ids) < set(logged(pg_engine))
    assert len(logged(pg_engine)) == len(ids) + 1


def test_a_process_that_is_stopped_leaves_nothing_behind(
    serve: Serve, pg_engine: sa.Engine, pg_settings: Settings
) -> None:
    with serve() as (server, api):
        batch = api.post("/predict/batch", json={"trips": [TRIP] * 10_000}).json()["predictions"]
        server.terminate()
        server.wait(timeout=120)
    assert sorted(logged(pg_engine)) == sorted(one["prediction_id"] for one in batch)
    assert list((pg_settings.storage.home / "outbox").iterdir()) == []
    with pg_engine.connect() as connection:
        assert connection.execute(sa.select(tables.outboxes)).all() == []


def test_a_database_that_does_not_answer_holds_a_request_up_once(serve: Serve, pg_engine: sa.Engine) -> None:
    """As a host that has gone silent; here a lock, for which a statement waits in the same way."""
    with serve() as (_, api):
        predict(api, request_id="ride-0")
        with pg_engine.begin() as holder:
            holder.execute(sa.text("LOCK TABLE predictions"))
            ids = [predict(api, request_id=f"ride-{number}") for number in range(1, 4)]
            assert gauge(api, "autoops_outbox_database_away") == 1, "before the statement gives up"
        eventually(lambda: set(ids) <= set(logged(pg_engine)))
