"""A retraining is killed, starts twice, finds MLflow or the source broken: one incident, one version, one promotion."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.ingestion.sample import write_sample
from autoops.ingestion.source import file_name
from autoops.loop.ledger import PAGE, Ledger
from autoops.mlflow_registry import MlflowRegistry
from autoops.months import parse_months
from autoops.registry import CHALLENGER, CHAMPION, PREVIOUS
from autoops.settings import MLflow, Settings
from tests.dags.conftest import SMALL
from tests.faults.conftest import environment_of
from tests.faults.proxy import Fault, Proxy
from tests.integration.test_url_source import Answer, FileServer, Handler, dropping, failing, truncated

pytestmark = [pytest.mark.faults, pytest.mark.quick]

Run = subprocess.CompletedProcess[str]
MONTHS = parse_months("2022-01..2022-03")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("published")
    write_sample(directory, MONTHS, trips_per_month=4_000)
    return directory


class Installation:
    """Processes of one installation whose MLflow and PostgreSQL are behind proxies."""

    def __init__(self, home: Path, source: object, mlflow: Proxy, postgres: Proxy, url: str, name: str) -> None:
        self._home = home
        self.mlflow, self.postgres = mlflow, postgres
        place = sa.make_url(url)
        small = {key.replace(".", "__"): value for key, value in SMALL.items()}
        self.environment = environment_of(
            home,
            data__source=source,
            data__attempts=1,
            data__timeout_s=5,
            storage__url=place.set(port=postgres.port).render_as_string(),
            storage__timeout_s=5,
            mlflow__tracking_uri=f"http://127.0.0.1:{mlflow.port}",
            mlflow__timeout_s=5,
            mlflow__experiment=name,
            model__name=name,
            **small,
        )
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.ledger = Ledger(sa.create_engine(place), SystemClock())

    def run(self, *command: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", *command], env=self.environment, cwd=self._home, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def steps(self, *arguments: str) -> Run:
        return self.run("tests.faults.retraining", *arguments)

    def counts(self, incident_id: int) -> Counter[str]:
        return Counter(entry.kind for entry in self.ledger.entries(incident_id=incident_id))


@pytest.fixture
def registry(mlflow_uri: str, request: pytest.FixtureRequest) -> MlflowRegistry:
    """Past the proxy, and empty."""
    return MlflowRegistry(request.node.name, MLflow(tracking_uri=mlflow_uri, experiment=request.node.name))


@pytest.fixture
def source(months: Path) -> Iterator[FileServer]:
    with FileServer() as server:
        for month in MONTHS:
            server.publish(months / file_name(month))
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def installation(
    tmp_path: Path, source: FileServer, mlflow_proxy: Proxy, pg_settings: Settings, registry: MlflowRegistry
) -> Iterator[Installation]:
    url = str(pg_settings.storage.url)
    with Proxy(sa.make_url(url).port or 0) as postgres_proxy:
        yield Installation(tmp_path, source.url, mlflow_proxy, postgres_proxy, url, registry.name)


FIRST = ("autoops.cli", "bootstrap")
KILLS = {
    "begin: claimed": ("postgres", Fault("kill after", rb"INSERT INTO claims")),
    "train: a run is there": ("mlflow", Fault("kill after", rb"POST [^ ]*runs/create")),
    "train: a version is there": ("mlflow", Fault("kill after", rb"POST [^ ]*model-versions/create")),
    "gate: its verdict is there": ("mlflow", Fault("kill after", rb"PUT [^ ]*/gate\.json")),
    "gate: not recorded": ("postgres", Fault("kill before", rb"INSERT INTO ledger.*gate")),
    "promote: previous has moved": ("mlflow", Fault("kill after", rb'"alias": "previous"')),
    "promote: champion has moved": ("mlflow", Fault("kill after", rb'"alias": "champion"')),
    "close: not committed": ("postgres", Fault("kill before", rb"UPDATE incidents")),
}


def test_a_run_that_is_killed_at_each_step_trains_and_promotes_once(
    installation: Installation, registry: MlflowRegistry
) -> None:
    assert installation.run(*FIRST).returncode == 0
    for point, (where, fault) in KILLS.items():
        with getattr(installation, where).put(fault):
            killed = installation.steps("the-run")
        assert killed.returncode == -9, f"{point}: {killed.stdout}{killed.stderr}"
    done = installation.steps("the-run")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["promoted"], found["version"]) == (True, 2)
    assert [version.number for version in registry.versions()] == [2, 1]
    assert [registry.by_alias(alias).number for alias in (CHAMPION, CHALLENGER, PREVIOUS)] == [2, 2, 1]
    incidents = installation.ledger.incidents()
    assert [(one.kind, one.status) for one in incidents] == [("manual", "closed")] * 2
    counts = installation.counts(incidents[0].id)
    assert [counts[kind] for kind in ("incident opened", "trained", "gate", "promoted", "incident closed")] == [1] * 5


def at_once(installation: Installation, *arguments: str) -> list[Run]:
    """Two processes, the one that ended better first."""
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda _: installation.run("autoops.cli", "retrain", *arguments), range(2))
        return sorted(done, key=lambda run: run.returncode)


def test_two_at_once_for_one_incident_are_one(installation: Installation, registry: MlflowRegistry) -> None:
    assert installation.run(*FIRST).returncode == 0
    incident = installation.ledger.open_incident("drift", "planted", actor="test", model_version=1)
    winner, loser = at_once(installation, "--incident", str(incident))
    assert (winner.returncode, loser.returncode) == (0, 5), winner.stderr + loser.stderr
    assert f"incident {incident}" in loser.stderr
    assert len(registry.versions()) == 2
    counts = installation.counts(incident)
    assert (counts["trained"], counts["gate"], counts["incident closed"]) == (1, 1, 1)


def test_two_at_once_never_replace_the_same_champion(installation: Installation, registry: MlflowRegistry) -> None:
    assert installation.run(*FIRST).returncode == 0
    done = at_once(installation, "--force", "--reason", "I insist")
    promoted = installation.ledger.entries(kind="promoted")
    assert [entry.evidence["replaces"] for entry in promoted] == [None, *(e.model_version for e in promoted[:-1])]
    assert registry.by_alias(CHAMPION).number == promoted[-1].model_version
    assert [run.returncode for run in done] == [0] * (len(promoted) - 1) + [5] * (3 - len(promoted))
    unresolved = installation.ledger.incidents(unresolved=True)
    assert [installation.counts(one.id)["retraining failed"] for one in unresolved] == [1] * (3 - len(promoted))


def test_an_mlflow_that_forbids_its_artifacts_fails_the_run_in_a_line_and_a_person_takes_it_up(
    installation: Installation, registry: MlflowRegistry
) -> None:
    assert installation.run(*FIRST).returncode == 0
    incident = installation.ledger.open_incident("drift", "planted", actor="test", model_version=1)
    for status in (403, 503):
        with installation.mlflow.put(Fault("answer", rb"PUT [^ ]*mlflow-artifacts", status=status)):
            failed = installation.run("autoops.cli", "retrain", "--incident", str(incident))
        assert failed.returncode == 6, failed.stderr
        assert f"{status}" in failed.stderr
    assert installation.counts(incident)["retraining failed"] == 2
    assert [version.number for version in registry.versions()] == [1]
    assert installation.run("autoops.cli", "retrain", "--incident", str(incident)).returncode == 0
    assert installation.ledger.incident(incident).status == "closed"
    assert [version.number for version in registry.versions()] == [2, 1]


def test_a_champion_alias_that_is_deleted_is_told_once_and_replaced_by_nobody(
    installation: Installation, registry: MlflowRegistry
) -> None:
    assert installation.run(*FIRST).returncode == 0
    registry._client.delete_registered_model_alias(registry.name, CHAMPION)
    for _ in range(2):
        assert "autoops promote 1 " in installation.run("autoops.cli", "check-drift").stdout
    (page,) = installation.ledger.entries(kind=PAGE)
    assert page.model_version == 1
    refused = installation.run("autoops.cli", "retrain", "--force", "--reason", "I insist")
    assert refused.returncode == 5, refused.stderr
    assert "autoops promote 1 " in refused.stderr
    assert registry.by_alias(CHAMPION) is None
    assert installation.run("autoops.cli", "promote", "1", "--reason", "it was deleted").returncode == 0
    assert "no champion" not in installation.run("autoops.cli", "check-drift", "--json").stdout


def missing(handler: Handler, content: bytes) -> None:
    handler.refuse(404)


def stalls(handler: Handler, content: bytes) -> None:
    """Half-way, for longer than `data.timeout_s`."""
    handler.send_response(200)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    Event().wait(10)
    handler.close_connection = True


def file_only(trouble: Answer) -> Answer:
    """What is asked about the file is answered; the file itself does not come."""

    def answer(handler: Handler, content: bytes) -> None:
        if handler.command == "GET":
            trouble(handler, content)
        else:
            handler.deliver(content)

    return answer


TROUBLES: list[tuple[Answer, int]] = [(missing, 3), (failing, 6), (truncated, 6), (stalls, 6), (dropping, 6)]


def test_a_source_that_breaks_fails_the_run_in_a_line_and_the_incident_stays_one(
    installation: Installation, registry: MlflowRegistry, source: FileServer
) -> None:
    assert "no champion" in installation.run("autoops.cli", "check-drift").stdout
    incident, name = installation.ledger.open_incident("drift", "planted", actor="test"), file_name(MONTHS[-1])
    for trouble, code in TROUBLES:
        source.queued[name] = [file_only(trouble)] * 20
        failed = installation.run("autoops.cli", "retrain", "--incident", str(incident))
        assert failed.returncode == code, failed.stderr
        assert str(MONTHS[-1]) in failed.stderr
    source.queued.clear()
    done = installation.run("autoops.cli", "retrain", "--incident", str(incident))
    assert done.returncode == 0, done.stderr
    assert [one.status for one in installation.ledger.incidents()] == ["closed"]
    assert installation.counts(incident)["promoted"] == 1
    assert [version.number for version in registry.versions()] == [1]
