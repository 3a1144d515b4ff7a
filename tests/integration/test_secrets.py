"""An installation with every secret that it can have lives through a day; then its secrets are looked for in all that
it has written and answered. The API of that day unpickles nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from autoops.serving.auth.keys_file import new_secret
from autoops.settings import CONFIG_VARIABLE, PREFIX
from autoops.usecase.columns import TARGET
from tests.bundles import synthetic_trips
from tests.conftest import CONFIG
from tests.eventually import eventually
from tests.integration.serving.conftest import TRIP
from tests.ports import free_port
from tests.postgres import PostgresServer

pytestmark = pytest.mark.system

MARK = "looked-for-and-found"
"""A request id, which must be found in the log: what finds that finds a secret."""

WATCH = """
import sys
def watch(event, arguments):
    if event == "pickle.find_class":
        with open({file!r}, "a") as told:
            told.write(f"{{arguments}}\\n")
sys.addaudithook(watch)
"""


@dataclass
class Day:
    """An installation in `home`: settings from the environment, PostgreSQL and MLflow that are there."""

    home: Path
    environment: dict[str, str]
    secrets: dict[str, str]
    answers: list[bytes] = field(default_factory=list)

    def autoops(self, *arguments: str, code: int = 0, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "autoops.cli", *arguments],
            cwd=self.home,
            env=os.environ | self.environment | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        with (self.home / "verbs.log").open("a") as log:
            log.write(done.stderr)
        return done.stdout

    @contextmanager
    def served(self) -> Iterator[httpx.Client]:
        """By `autoops serve`, with an eye on what it unpickles."""
        (self.home / "site").mkdir()
        (self.home / "site" / "sitecustomize.py").write_text(WATCH.format(file=str(self.home / "unpickled")))
        path = os.pathsep.join([str(self.home / "site"), os.environ.get("PYTHONPATH", "")])
        with (self.home / "serve.log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "autoops.cli", "serve"],
                cwd=self.home,
                env=os.environ | self.environment | {"PYTHONPATH": path},
                stdout=log,
                stderr=log,
            )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{self.environment[f'{PREFIX}SERVING__PORT']}") as client:
                eventually(lambda: server.poll() is not None or is_ready(client))
                assert server.poll() is None, (self.home / "serve.log").read_text()
                yield client
        finally:
            server.terminate()
            server.wait(timeout=120)

    def ask(self, client: httpx.Client, secret: str | None, path: str, body: object, **request: object) -> int:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        answer = client.post(path, json=body, headers=headers, **request)  # type: ignore[arg-type]
        self.answers.append(answer.content + repr(answer.headers).encode())
        return answer.status_code


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").is_success
    except httpx.TransportError:
        return False


def begin(home: Path, database: str, mlflow_uri: str) -> Day:
    secrets = {name: new_secret() for name in ("database", "airflow", "mlflow", "unknown key")}
    parts = urlsplit(database)
    environment = {
        CONFIG_VARIABLE: str(CONFIG),
        f"{PREFIX}STORAGE__HOME": str(home / "var"),
        f"{PREFIX}STORAGE__URL": parts._replace(
            netloc=f"{parts.username}:{secrets['database']}@{parts.hostname}:{parts.port}"
        ).geturl(),
        f"{PREFIX}DATA__SOURCE": str(home / "published"),
        f"{PREFIX}MLFLOW__TRACKING_URI": mlflow_uri,
        f"{PREFIX}MODEL__NAME": "secrets",
        f"{PREFIX}MODEL__PARAMETERS": '{"n_estimators": 10, "max_depth": 8, "n_jobs": 2, "random_state": 7}',
        f"{PREFIX}SERVING__PORT": str(free_port()),
        f"{PREFIX}AIRFLOW__PASSWORD": secrets["airflow"],
        f"{PREFIX}SECURITY__KEYS_FILE": str(home / "keys.json"),
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": secrets["mlflow"],
    }
    return Day(home, environment, secrets)


def live(day: Day, postgres: PostgresServer) -> None:
    for name, scopes in (("client", ("predict", "feedback")), ("operator", ("admin",))):
        options = [word for scope in scopes for word in ("--scope", scope)]
        day.secrets[name] = day.autoops("keys", "add", name, *options).strip()
    day.environment[f"{PREFIX}SECURITY__API_KEY"] = client = day.secrets["client"]
    assert "client" in day.autoops("keys", "list")
    months = ("--months", "2023-01..2023-03")
    day.autoops("sample", *months, "--trips-per-month", "3000", "--output", str(day.home / "published"))
    day.autoops("bootstrap")
    with day.served() as api:
        assert day.ask(api, client, "/predict", TRIP | {"request_id": MARK}) == 200
        assert day.ask(api, client, "/predict", TRIP | {"trip_distance": client}) == 422
        assert day.ask(api, client, f"/predict/{client}", TRIP) == 403
        assert day.ask(api, client, "/model/reload", None) == 403
        assert day.ask(api, day.secrets["operator"], "/model/reload", None) == 200
        assert day.ask(api, day.secrets["unknown key"], "/predict", TRIP, params={"key": client}) == 401
        synthetic_trips().drop(columns=TARGET).rename(columns={"event_at": "pickup_at"}).to_parquet(
            day.home / "trips.parquet"
        )
        sent = ("predict", "--input", str(day.home / "trips.parquet"), "--output")
        day.autoops(*sent, str(day.home / "predicted.parquet"), "--url", str(api.base_url))
        replay = ("replay", "--source", str(day.home / "published"), "--months", "2023-01", "--sample", "20")
        day.autoops(*replay, "--url", str(api.base_url))
        wrong = {f"{PREFIX}SECURITY__API_KEY": day.secrets["unknown key"]}
        day.autoops(*sent, str(day.home / "none.parquet"), "--url", str(api.base_url), code=2, **wrong)
        postgres.stop()
        try:
            assert day.ask(api, client, "/predict", TRIP) == 200
            day.autoops("status", code=6)
        finally:
            postgres.start()


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, mlflow_uri: str) -> Day:
    home = tmp_path_factory.mktemp("day")
    lived = begin(home, postgres.new_database(), mlflow_uri)
    live(lived, postgres)
    return lived


def files_with(text: str, *directories: Path) -> list[str]:
    """A file that goes meanwhile holds nothing: PostgreSQL replaces some of its own now and then."""
    found = []
    for file in (file for directory in directories for file in directory.rglob("*") if file.is_file()):
        with suppress(FileNotFoundError):
            found += [str(file)] if text.encode() in file.read_bytes() else []
    return found


def test_no_secret_is_written_or_answered(
    day: Day, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Logs, months, reports, models, digests of keys; MLflow's database, artifacts and log; PostgreSQL's own files."""
    (mlflow,) = tmp_path_factory.getbasetemp().glob("mlflow[0-9]*/server.log")
    places = (day.home, mlflow.parent, postgres.directory / "data")
    assert files_with(MARK, *places), "the search finds what was stored"
    assert files_with("by the key operator", day.home)
    for name, secret in day.secrets.items():
        assert files_with(secret, *places) == [], name
        assert not [answer for answer in day.answers if secret.encode() in answer], name


def test_the_api_unpickled_nothing(day: Day) -> None:
    assert (day.home / "var" / "models").is_dir()
    assert not (day.home / "unpickled").exists(), (day.home / "unpickled").read_text()
