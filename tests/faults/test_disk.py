"""A disk is full, or takes no writes: nothing acknowledged is lost, nothing is half there, and it goes on with room."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import CHAMPION
from autoops.months import parse_months
from autoops.settings import Settings
from autoops.storage import tables
from autoops.usecases.taxi.sample import write_sample
from tests.eventually import eventually
from tests.faults.conftest import Api, Serve, environment_of
from tests.faults.disk import Disk, mounted
from tests.faults.test_mlflow import answers_with
from tests.integration.postgres.conftest import stopped
from tests.integration.serving.conftest import TRIP
from tests.integration.serving.test_bad_input import problem_of
from tests.postgres import FAST, PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.quick]

LABEL = {"request_id": "ride-1", "trip_duration_minutes": 5}
LARGE = {"trips": [TRIP] * 2_000}


def until_refused(api: Api) -> None:
    """Predicts until the disk takes no more, and says so in each form."""
    answer = api.http.post("/predict", json=TRIP)
    while answer.status_code == 200:
        api.acknowledged.append(answer.json()["prediction_id"])
        answer = api.http.post("/predict", json=TRIP)
    batch = api.http.post("/predict/batch", json=LARGE)
    labels = api.http.post("/ground-truth", json={"labels": [LABEL] * 2_000})
    for refused in (answer, batch, labels):
        assert "nothing was stored" in problem_of(refused, 503).detail
        assert refused.headers["retry-after"] == "1"
    assert api.is_ready()


def logged(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(tables.predictions.c.id)))


def labels(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(tables.ground_truth)) or 0


def test_a_full_disk_under_the_log_refuses_and_loses_nothing(serve: Serve, disk: Disk) -> None:
    """The database, the process's own output and the model's cache are all on it."""
    with serve(home=disk.path / "var") as api:
        api.predict()
        with disk.full():
            until_refused(api)
        assert api.predict() == 1
        assert api.http.post("/ground-truth", json={"labels": [LABEL]}).json()["stored"] == 1
        engine = sa.create_engine(f"sqlite:///{disk.path}/var/autoops.db")
        assert sorted(logged(engine)) == sorted(api.acknowledged)
        assert labels(engine) == 1


def test_a_full_disk_under_the_outbox_refuses_and_the_rest_arrives(
    serve: Serve, disk: Disk, postgres: PostgresServer, pg_settings: Settings, pg_engine: sa.Engine
) -> None:
    with serve(home=disk.path / "var", storage__url=pg_settings.storage.url) as api:
        api.predict()
        with stopped(postgres, FAST):
            api.predict()
            with disk.full():
                until_refused(api)
            api.predict()
        eventually(lambda: sorted(logged(pg_engine)) == sorted(api.acknowledged))
        assert labels(pg_engine) == 0


@contextmanager
def on_small_disk(postgres: PostgresServer, engine: sa.Engine) -> Iterator[Disk]:
    """The log's tables are on it; PostgreSQL's own log of its transactions is not."""
    with mounted(postgres.directory / "small", 24) as disk:
        place, owner = disk.path / "tables", (postgres.directory / "data").stat()
        place.mkdir()
        os.chown(place, owner.st_uid, owner.st_gid)
        statement(engine, f"CREATE TABLESPACE small LOCATION '{place}'")
        statement(engine, "ALTER TABLE predictions SET TABLESPACE small")
        try:
            yield disk
        finally:
            statement(engine, "DROP TABLE predictions")
            statement(engine, "DROP TABLESPACE small")


def statement(engine: sa.Engine, text: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("SET default_transaction_read_only = off"))
        connection.execute(sa.text(text))


def test_a_full_disk_under_postgres_is_an_outage_like_another(
    serve: Serve, postgres: PostgresServer, pg_engine: sa.Engine, pg_settings: Settings
) -> None:
    with on_small_disk(postgres, pg_engine) as disk, serve(storage__url=pg_settings.storage.url) as api:
        api.predict()
        with disk.full():
            for _ in range(3):
                batch = api.http.post("/predict/batch", json=LARGE).json()["predictions"]
                api.acknowledged += [one["prediction_id"] for one in batch]
            eventually(lambda: "autoops_outbox_database_away 1.0" in api.http.get("/metrics").text)
            assert api.predict() == 1
        eventually(lambda: sorted(logged(pg_engine)) == sorted(api.acknowledged))


def test_a_postgres_that_takes_no_writes_is_an_outage_like_another(
    serve: Serve, pg_engine: sa.Engine, pg_settings: Settings
) -> None:
    """What a standby is, or a primary whose operator protects its disk."""
    with serve(storage__url=pg_settings.storage.url) as api:
        api.predict()
        eventually(lambda: logged(pg_engine) == api.acknowledged)
        read_only(pg_engine, "on")
        for _ in range(3):
            api.predict(request_id=f"ride-{len(api.acknowledged)}")
        eventually(lambda: "autoops_outbox_database_away 1.0" in api.http.get("/metrics").text)
        assert logged(pg_engine) == api.acknowledged[:1]
        read_only(pg_engine, "off")
        eventually(lambda: sorted(logged(pg_engine)) == sorted(api.acknowledged))


def read_only(engine: sa.Engine, switch: str) -> None:
    """For whoever connects from now on, and all are made to."""
    with engine.connect() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
    statement(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = {switch}")
    others = "datname = current_database() AND pid != pg_backend_pid()"
    statement(engine, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    engine.dispose()


def test_a_database_that_is_read_only_at_the_start_is_said_in_a_line(disk: Disk, tmp_path: Path) -> None:
    environment = environment_of(disk.path, mlflow__tracking_uri="http://127.0.0.1:9")
    command = [sys.executable, "-m", "autoops.cli", "serve"]
    subprocess.run(["mount", "-o", "remount,ro", disk.path], check=True)
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 6
    assert "Traceback" not in ended.stderr
    assert "error: database" in ended.stderr


def test_a_full_disk_under_the_cache_keeps_a_new_version_out_until_there_is_room(
    serve: Serve, registry: MlflowRegistry, disk: Disk, tmp_path: Path
) -> None:
    with serve(home=disk.path / "var", storage__url=f"sqlite:///{tmp_path}/log.db") as api:
        with disk.full():
            registry.set_alias(CHAMPION, 2)
            eventually(lambda: api.info()["last_error"])
            assert "No space left" in api.info()["last_error"]
            assert answers_with(api, 1)
            assert api.info()["quarantined"] == [], "nothing is wrong with the version"
        eventually(lambda: api.http.post("/model/reload").json()["model_version"] == 2)
        assert list((disk.path / "var" / "models").glob(".download-*")) == []
    with serve(home=disk.path / "var", storage__url=f"sqlite:///{tmp_path}/log.db") as api:
        assert answers_with(api, 2)


def test_a_full_disk_under_a_download_leaves_the_older_month_and_nothing_else(disk: Disk, tmp_path: Path) -> None:
    published = tmp_path / "published"
    write_sample(published, parse_months("2022-01..2022-02"), trips_per_month=20_000)
    environment = environment_of(disk.path, data__source=published)

    def ingest(*options: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "autoops.cli", "ingest", "--months", "2022-01..2022-02", *options, "--json"]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)

    first = json.loads(ingest().stdout)
    before = {path: path.read_bytes() for path in disk.path.rglob("*.parquet")}
    assert len(before) == 2
    with disk.full():
        refused = ingest("--refetch")
        assert refused.returncode == 6
        assert "Traceback" not in refused.stderr
        assert "No space left" in refused.stderr
        assert {path: path.read_bytes() for path in disk.path.rglob("*.parquet")} == before
        assert not list(disk.path.rglob(".raw-*")) + list(disk.path.rglob(".2022-*"))
    again = json.loads(ingest("--refetch").stdout)
    assert [one["rows"] for one in again] == [one["rows"] for one in first]
