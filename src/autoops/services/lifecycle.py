"""`autoops up`, `down` and `status`: the services of one home as a whole."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from autoops.errors import Conflict, ServiceUnavailable
from autoops.services import credentials, processes
from autoops.services.environment import environment
from autoops.services.health import complaint
from autoops.services.ports import require_free
from autoops.services.programs import Program, may_start_mlflow, programs
from autoops.services.supervision import ProcessState, Supervisor
from autoops.serving.shutdown import stops_within_s
from autoops.settings import Settings
from autoops.storage import database
from autoops.training.trial import check_model

Progress = Callable[[str], None]

_SUPERVISOR_S = 5
"""Seconds for supervisord itself, beyond what its slowest program, the API, may take to stop."""

LIVES = 2
"""Most processes of a program during its start; with another one the start has failed."""


@dataclass(frozen=True)
class ServiceStatus:
    """State of a program; `state` is supervisord's, `complaint` is why the program is not healthy."""

    service: str
    state: str
    pid: int | None
    url: str
    complaint: str | None

    @property
    def healthy(self) -> bool:
        """Return whether the program runs, listens on its port and passes its health check."""
        return self.complaint is None


def up(
    settings: Settings,
    without: Collection[str] = (),
    progress: Progress = lambda _line: None,
    timeout_s: float = 180,
) -> bool:
    """Start all services but those of `without` and return once all are healthy.

    Returns True if it started them, False if they were up already. After an error while it starts them, no process of
    the home is left running.

    Raises:
        Conflict: a port is taken, other services of this home are up, or another `up` or `down` is running.
        ServiceUnavailable: a service does not come up; the message has the end of its log.
    """
    wanted = programs(settings, without)
    check_model(settings.model, settings.contract)
    supervisor = Supervisor(settings.storage.home)
    with _locked(settings):
        if running := supervisor.states():
            _require_same(running, wanted)
            _wait_until_healthy(settings, supervisor, wanted, None, progress, timeout_s)
            progress("up already; `autoops down` first to apply changed settings")
            return False
        if leftovers := processes.end(settings.storage.home):
            progress(f"ended {leftovers} processes that a former run left behind")
        # Only now: processes of a former run may have held the ports.
        require_free(wanted)
        with ExitStack() as on_failure:
            on_failure.callback(_stop, settings)
            _start(settings, supervisor, wanted, progress, timeout_s)
            # Everything is up: nothing is to be stopped any more.
            on_failure.pop_all()
    return True


def down(settings: Settings) -> bool:
    """Stop every process of this home, also one that outlived its parent; return False if there was none.

    Raises:
        Conflict: another `up` or `down` is running.
    """
    with _locked(settings):
        return _stop(settings)


def status(settings: Settings) -> list[ServiceStatus]:
    """Return a row per program, without an MLflow elsewhere. A program that was never started is STOPPED."""
    states = Supervisor(settings.storage.home).states()
    rows = []
    for program in programs(settings, () if may_start_mlflow(settings) else ["mlflow"]):
        known = states.get(program.name, ProcessState(program.name, "STOPPED", None))
        why = _complaint(program, known, settings, None)
        rows.append(ServiceStatus(program.name, known.state, known.pid, program.url, why))
    return rows


def _start(
    settings: Settings, supervisor: Supervisor, wanted: Sequence[Program], progress: Progress, timeout_s: float
) -> None:
    """Start MLflow and the API, migrate Airflow's database meanwhile, then start Airflow."""
    since = datetime.now(UTC)
    variables = environment(settings)
    engine = database.connect(settings)
    database.upgrade(engine)
    engine.dispose()
    supervisor.start(wanted, variables)
    later = [program for program in wanted if program.service == "airflow"]
    for program in wanted:
        if program not in later:
            supervisor.start_program(program.name)
    if later:
        _migrate_airflow(supervisor, variables, progress)
        for program in later:
            supervisor.start_program(program.name)
    _wait_until_healthy(settings, supervisor, wanted, since, progress, timeout_s)


def _migrate_airflow(supervisor: Supervisor, variables: Mapping[str, str], progress: Progress) -> None:
    progress("airflow: preparing its database")
    log = supervisor.log("airflow-db-migrate")
    with log.open("w") as file:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        done = subprocess.run(command, env=variables, cwd=log.parent, stdout=file, stderr=file, check=False)
    if done.returncode:
        raise ServiceUnavailable(f"airflow db migrate failed; the end of {log}:\n{_tail(supervisor, log.stem)}")


def _wait_until_healthy(
    settings: Settings,
    supervisor: Supervisor,
    wanted: Sequence[Program],
    since: datetime | None,
    progress: Progress,
    timeout_s: float,
) -> None:
    deadline = time.monotonic() + timeout_s
    waiting = {program.name: program for program in wanted}
    lives: dict[str, set[int]] = {name: set() for name in waiting}
    while waiting:
        states = supervisor.states()
        for name, program in list(waiting.items()):
            state = states.get(name, ProcessState(name, "GONE", None))
            lives[name] |= {state.pid} if state.pid else set()
            why = _complaint(program, state, settings, since)
            if why is None:
                progress(f"{name}: up at {program.url}")
                del waiting[name]
            elif state.given_up or len(lives[name]) > LIVES or time.monotonic() > deadline:
                raise ServiceUnavailable(
                    f"{name} does not come up: {why}; the end of {supervisor.log(name)}:\n{_tail(supervisor, name)}"
                )
        time.sleep(0.3 if waiting else 0)


def _complaint(program: Program, state: ProcessState, settings: Settings, since: datetime | None) -> str | None:
    """Return why the program is not healthy, None if it is.

    Its own process has to listen on its port, because a response of another process says nothing about the program.
    """
    if not state.alive or state.pid is None:
        return f"is {state.state.lower()}"
    if program.listens and not processes.listens(state.pid, program.listens.port):
        return f"does not listen on {program.listens.host}:{program.listens.port}"
    return complaint(program.name, settings, since)


def _stop(settings: Settings) -> bool:
    supervisor = Supervisor(settings.storage.home)
    asked = supervisor.stop(stops_within_s(settings) + _SUPERVISOR_S)
    left = processes.end(settings.storage.home)
    supervisor.clear()
    return asked or left > 0


def _require_same(running: Mapping[str, object], wanted: Sequence[Program]) -> None:
    names = {program.name for program in wanted}
    if names != set(running):
        raise Conflict(f"up already, with other services ({', '.join(sorted(running))}): run `autoops down` first")


def _tail(supervisor: Supervisor, name: str, lines: int = 15) -> str:
    try:
        return "\n".join(supervisor.log(name).read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Hold the lock of one `up` or `down` of a home at a time; the kernel releases it if the holder dies.

    Raises:
        Conflict: another `up` or `down` holds it.
    """
    with (credentials.run_directory(settings) / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another `autoops up` or `down` of {settings.storage.home} is at work") from None
        yield
