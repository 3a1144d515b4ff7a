"""The stack, those who look at it, and what is told when an act fails."""

import os
import subprocess
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autoops.services.airflow import AirflowClient
from tests.ports import free_ports
from tests.stack.api import Api
from tests.stack.compose import ROOT, UP_S, Stack
from tests.stack.dags import Dags
from tests.stack.mlflow import Mlflow
from tests.stack.testimony import told_by
from tests.stack.world import World

PORTS = ("API_PORT", "CONSOLE_PORT", "AIRFLOW_PORT", "MLFLOW_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
CHECK_INTERVAL_S = 15
ACT_S = 1800
STACK = pytest.StashKey[Stack]()


def write_env(file: Path, project: str) -> None:
    """Secrets as a user's `.env` has them; names and ports that meet no other stack of this machine."""
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    subprocess.run([ROOT / "scripts" / "env.sh", file], check=True)
    own = {"COMPOSE_PROJECT_NAME": project, "IMAGE_TAG": project, "CHECK_INTERVAL_S": CHECK_INTERVAL_S}
    # What is retrained here is what alarms and people ask for.
    own |= {"AUTOOPS__TRAINING__RETRAIN_AFTER_MONTHS": 0}
    own |= dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    kept = [line for line in file.read_text().splitlines() if line.partition("=")[0] not in own]
    file.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in own.items()), ""]))


@pytest.fixture(scope="session")
def nothing(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack of which nothing is there yet, and nothing is left at the end. On its own, so that the services of one
    that does not come up can still be asked why."""
    project = os.environ.get("AUTOOPS_STACK_PROJECT", "autoops-test")
    file = ROOT / "var" / f"{project}.env"
    write_env(file, project)
    stack = request.session.stash[STACK] = Stack(file)
    stack.down()
    yield stack
    if os.environ.get("AUTOOPS_STACK_KEEP") == "1":
        print(f"\nleft up: cd {ROOT} && docker compose --env-file {file} ps")
    else:
        stack.down()
        file.unlink()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    if named := os.environ.get("AUTOOPS_STACK_ENV"):
        request.session.stash[STACK] = Stack(Path(named))
        return Stack(Path(named))
    stack: Stack = request.getfixturevalue("nothing")
    stack.compose("build", within_s=UP_S)
    stack.up()
    return stack


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[Api]:
    with closing(Api(stack.url("API"), stack.api_headers)) as api:
        yield api


@pytest.fixture(scope="session")
def airflow(stack: Stack) -> Iterator[AirflowClient]:
    with AirflowClient(stack.url("AIRFLOW"), "admin", stack.env["AIRFLOW_PASSWORD"], timeout_s=60) as client:
        yield client


@pytest.fixture(scope="session")
def dags(airflow: AirflowClient) -> Dags:
    return Dags(airflow)


@pytest.fixture(scope="session")
def mlflow(stack: Stack) -> Iterator[Mlflow]:
    with closing(Mlflow(stack.url("MLFLOW"), stack.env["MLFLOW_PASSWORD"])) as mlflow:
        yield mlflow


@pytest.fixture(scope="session")
def world(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.made_up(tmp_path_factory.mktemp("world"), stack)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each wait has a deadline of its own; this one is for what hangs all the same."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(ACT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    stack = item.session.stash.get(STACK, None)
    if report.failed and stack is not None:
        report.sections += told_by(stack)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What each act took, the stack's start and end included."""
    took: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                act = Path(report.location[0]).stem
                took[act] = took.get(act, 0) + report.duration
    terminalreporter.section("acts")
    for act, seconds in sorted(took.items()):
        terminalreporter.line(f"{act}: {seconds:.0f} s")
