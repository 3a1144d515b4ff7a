"""Real processes under a real supervisord. The API stands for all services here: it is the quickest to start."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import psutil
import pytest

from autoops import services
from autoops.errors import Conflict, ServiceUnavailable, SettingsError
from autoops.services import processes
from autoops.services.environment import HOME_VARIABLE
from autoops.services.ports import require_free
from autoops.services.programs import programs
from autoops.settings import Settings, load_settings
from tests.conftest import configured
from tests.eventually import eventually
from tests.ports import free_ports

pytestmark = pytest.mark.system

ONLY_API = ("mlflow", "exporter", "console", "airflow")


@pytest.fixture
def home() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="autoops-"))
    yield directory
    processes.end(directory)
    shutil.rmtree(directory)


def in_home(home: Path) -> AbstractContextManager[Settings]:
    api, airflow, exporter, console, mlflow = free_ports(5)
    changes = {
        "storage.home": home,
        "serving.port": api,
        "airflow.port": airflow,
        "exporter.port": exporter,
        "console.port": console,
        "mlflow.tracking_uri": f"http://127.0.0.1:{mlflow}",
    }
    return configured(changes)


@pytest.fixture
def settings(home: Path) -> Iterator[Settings]:
    with in_home(home) as settings:
        yield settings


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The API, up, in a home with blanks in its name and too deep for the 107 bytes of a Unix socket's path."""
    home = tmp_path_factory.mktemp("home") / ("deep " * 12) / ("deeper" * 10)
    with in_home(home) as settings:
        assert services.up(settings, ONLY_API) is True
        yield settings
        services.down(settings)


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def supervisord_of(settings: Settings) -> psutil.Process:
    return psutil.Process(int((settings.storage.home / "run" / "supervisord.pid").read_text()))


def answers(settings: Settings) -> bool:
    try:
        return httpx.get(f"{settings.api_url}/health", trust_env=False).is_success
    except httpx.ConnectError:
        return False


def test_status_tells_a_healthy_service_from_one_that_was_never_started(running: Settings) -> None:
    rows = {row.service: row for row in services.status(running)}
    assert rows["api"].healthy
    assert rows["api"].pid in {process.pid for process in processes.of_home(running.storage.home)}
    assert rows["api"].url == running.api_url
    assert (rows["mlflow"].state, rows["mlflow"].complaint) == ("STOPPED", "is stopped")


def test_up_again_changes_nothing_and_says_so(running: Settings) -> None:
    told: list[str] = []
    before = {process.pid for process in processes.of_home(running.storage.home)}
    assert services.up(running, ONLY_API, told.append) is False
    assert "up already" in told[-1]
    assert {process.pid for process in processes.of_home(running.storage.home)} == before


def test_up_with_other_services_asks_for_down_first(running: Settings) -> None:
    with pytest.raises(Conflict, match=r"other services \(api\).*autoops down"):
        services.up(running, ["airflow"])


def test_a_killed_service_is_started_again(running: Settings) -> None:
    first = {row.service: row.pid for row in services.status(running)}["api"]
    assert first
    os.kill(first, signal.SIGKILL)
    eventually(lambda: any(row.healthy and row.pid != first for row in services.status(running)), 30, every_s=0.2)


def test_down_leaves_nothing_even_when_the_supervisor_was_killed(settings: Settings) -> None:
    services.up(settings, ONLY_API)
    supervisord_of(settings).kill()
    assert answers(settings), "the API outlives its supervisor: there is something to clean"
    assert services.down(settings) is True
    assert processes.of_home(settings.storage.home) == []
    require_free(programs(settings))
    assert services.down(settings) is False


def test_up_ends_what_a_killed_run_left_behind_and_starts_anew(settings: Settings) -> None:
    told: list[str] = []
    services.up(settings, ONLY_API)
    before = {process.pid for process in processes.of_home(settings.storage.home)}
    supervisord_of(settings).kill()
    assert services.up(settings, ONLY_API, told.append) is True
    assert "a former run left behind" in told[0]
    assert before.isdisjoint(process.pid for process in processes.of_home(settings.storage.home))

    assert services.down(settings) is True
    assert processes.of_home(settings.storage.home) == []
    assert not answers(settings)
    assert list((settings.storage.home / "run").glob("supervisor*.[sp]*")) == []


def test_a_taken_port_is_refused_by_name_before_anything_starts(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.serving.port)), pytest.raises(Conflict) as refused:
        services.up(settings)
    said = str(refused.value)
    assert f"127.0.0.1:{settings.serving.port}" in said
    assert "api" in said
    assert "serving.port" in said
    assert "AUTOOPS__SERVING__PORT" in said
    assert processes.of_home(settings.storage.home) == []


def test_two_services_on_one_port_are_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOOPS__AIRFLOW__PORT", str(settings.serving.port))
    with pytest.raises(Conflict, match=r"airflow\.port"):
        require_free(programs(load_settings()))


def test_a_host_that_is_not_this_machine_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOOPS__MLFLOW__TRACKING_URI", "http://192.0.2.1:5000")
    with pytest.raises(SettingsError, match=r"mlflow\.tracking_uri: mlflow cannot listen on 192\.0\.2\.1:5000"):
        require_free(programs(load_settings()))


def test_a_service_that_does_not_come_up_is_named_with_the_end_of_its_log_and_nothing_is_left(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOOPS__SERVING__MAX_BATCH", "none: the API refuses this when it starts")
    with pytest.raises(ServiceUnavailable, match=r"(?s)^api does not come up.*logs/api\.log:.*serving\.max_batch"):
        services.up(settings, ONLY_API)
    assert processes.of_home(settings.storage.home) == []


def test_what_another_process_answers_on_the_port_makes_no_service_healthy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoops.services.lifecycle.require_free", lambda _programs: None)  # taken just after it
    with HTTPServer(("127.0.0.1", settings.serving.port), Healthy) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        assert answers(settings)
        with pytest.raises(ServiceUnavailable, match=r"(?s)^api does not come up.*address already in use"):
            services.up(settings, ONLY_API)
        other.shutdown()


def test_only_one_up_or_down_works_on_a_home_at_a_time(settings: Settings) -> None:
    run = settings.storage.home / "run"
    run.mkdir()
    holder = "import fcntl; f = open('lock', 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder], cwd=run, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(Conflict, match="is at work"):
            services.down(settings)
        other.kill()
    assert services.down(settings) is False


def test_a_home_that_the_supervisor_cannot_be_told_of_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOOPS__STORAGE__HOME", str(settings.storage.home / "100%"))
    with pytest.raises(SettingsError, match=r"storage\.home.*100%"):
        services.up(load_settings(), ONLY_API)


def test_only_processes_of_this_home_are_ended_and_stubborn_ones_too(home: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )

    def start(of: str) -> subprocess.Popen[bytes]:
        started = subprocess.Popen(
            [sys.executable, "-c", stubborn], env={HOME_VARIABLE: of}, stdout=subprocess.PIPE, start_new_session=True
        )
        assert started.stdout
        started.stdout.readline()
        return started

    mine, others = start(str(home)), start(f"{home}-of-another")
    try:
        assert [process.pid for process in processes.of_home(home)] == [mine.pid]
        assert processes.end(home, timeout_s=0.5) == 1
        assert not psutil.pid_exists(mine.pid)
        assert others.poll() is None
    finally:
        others.kill()
        others.wait()
