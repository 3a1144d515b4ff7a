"""The demo as a user starts it, with fewer trips and trees: real MLflow, real Airflow, real API."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from autoops.services.environment import HOME_VARIABLE
from autoops.settings import PREFIX
from tests.ports import free_ports

pytestmark = pytest.mark.system

DEMO = [str(Path(sys.executable).parent / "autoops"), "demo"]
FOREST = {"n_estimators": 40, "max_depth": 16, "min_samples_leaf": 7, "max_features": 0.5, "random_state": 7}
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`storage.home` of the demos of this module, which follow one another in it. Whatever a test leaves is ended."""
    home = tmp_path_factory.mktemp("e2e") / "var"
    yield home
    for process in processes_of(home / "demo"):
        process.kill()


def start(home: Path, log: Path, *options: str) -> subprocess.Popen[bytes]:
    """On ports of its own, so that it meets no other demo of this machine."""
    serving, airflow, exporter, console, mlflow = free_ports(5)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | {
        f"{PREFIX}STORAGE__HOME": str(home),
        f"{PREFIX}SERVING__PORT": str(serving),
        f"{PREFIX}AIRFLOW__PORT": str(airflow),
        f"{PREFIX}EXPORTER__PORT": str(exporter),
        f"{PREFIX}CONSOLE__PORT": str(console),
        f"{PREFIX}MLFLOW__TRACKING_URI": f"http://127.0.0.1:{mlflow}",
        f"{PREFIX}MODEL__PARAMETERS": json.dumps(FOREST),
    }
    with log.open("wb") as file:
        return subprocess.Popen(
            [*DEMO, *options],
            cwd=REPOSITORY,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def processes_of(home: Path) -> list[psutil.Process]:
    """Living processes that carry the home in their environment: all that a demo starts."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(HOME_VARIABLE) == str(home):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def ports_of(home: Path) -> list[int]:
    configuration = yaml.safe_load((home / "config.yaml").read_text())
    mlflow = int(configuration["mlflow"]["tracking_uri"].rpartition(":")[2])
    return [*(configuration[service]["port"] for service in ("serving", "airflow", "exporter", "console")), mlflow]


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def assert_nothing_is_left(home: Path) -> None:
    assert [process.cmdline() for process in processes_of(home)] == []
    assert [port for port in ports_of(home) if is_listening(port)] == []


def wait_for(log: Path, text: str, demo: subprocess.Popen[bytes], within_s: float = 600) -> None:
    deadline = time.monotonic() + within_s
    while text not in log.read_text():
        assert demo.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


@pytest.mark.timeout(1800)
def test_a_killed_demo_is_in_nobodys_way_and_the_next_tells_the_whole_story(home: Path, tmp_path: Path) -> None:
    killed_log, log = tmp_path / "killed.log", tmp_path / "demo.log"
    killed = start(home, killed_log)
    wait_for(killed_log, "api: up", killed)
    killed.kill()
    killed.wait()
    assert processes_of(home / "demo") != []

    demo = start(home, log, "--replayed", "2400", "--rate", "400", "--acts", "all")
    assert demo.wait(timeout=1600) == 0, log.read_text()

    assert "stopped what an earlier demo had left running" in log.read_text()
    assert_nothing_is_left(home / "demo")
    summary = json.loads((home / "demo" / "summary.json").read_text())
    assert_the_core_held(summary)
    assert_the_mistake_was_taken_back(summary)
    assert_the_broken_month_was_kept_out(summary)
    page = (home / "demo" / "report.html").read_text()
    assert "version 2" in page
    assert "v3 rolled back" in page
    assert "2023-08 quarantined" in page


def assert_the_core_held(summary: dict[str, Any]) -> None:
    steady, changed, after = summary["steps"]
    assert (steady["decision"], steady["model_version"]) == (None, 1)
    assert (changed["alarm"], changed["decision"], changed["model_version"]) == (True, "promote", 1)
    assert after["model_version"] == 2
    assert steady["mae"] < after["mae"] < changed["mae"]
    assert summary["champion_version"] == summary["served_version"]
    assert summary["failed_requests"] == 0
    assert summary["requests"] >= 5 * 2400
    assert 0 < summary["alarm_to_served_s"] < summary["wall_s"]


def assert_the_mistake_was_taken_back(summary: dict[str, Any]) -> None:
    """Version 3 was trained on months from before the change, and forced."""
    forced = summary["acts"]["bad_promotion"]
    assert (forced["forced_version"], forced["replaced_version"], forced["rolled_back_to"]) == (3, 2, 2)
    assert (forced["windows"], summary["champion_version"] != 3) == (1, True)
    assert 0 < forced["served_to_rolled_back_s"] < summary["wall_s"]
    answered = {(step["month"], step["model_version"]): step for step in summary["acts"]["steps"]}
    assert answered["2023-07", 3]["mae"] > answered["2023-07", 2]["mae"]


def assert_the_broken_month_was_kept_out(summary: dict[str, Any]) -> None:
    """The retraining that was asked for after it came out learnt from the newest three that are usable."""
    broken = summary["acts"]["broken_data"]
    assert broken["checks"] >= 1
    assert broken["incidents"] == 0
    assert broken["findings"] == ["unit change"]
    assert "kilometres where miles should be" in broken["quarantined"]
    assert list(broken["trained"].values()) == [["2023-05", "2023-06", "2023-07"]]
    august = summary["acts"]["steps"][-1]
    assert (august["month"], august["verdict"], august["alarm"]) == ("2023-08", "broken data", False)


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "airflow: preparing"), (signal.SIGTERM, "asking Airflow for a first model")],
    ids=["Ctrl-C on the way up", "SIGTERM at work"],
)
def test_a_demo_that_is_told_to_stop_leaves_nothing_behind(
    home: Path, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    demo = start(home, tmp_path / "demo.log")
    wait_for(tmp_path / "demo.log", moment, demo)
    demo.send_signal(number)
    assert demo.wait(timeout=120) != 0
    assert_nothing_is_left(home / "demo")
