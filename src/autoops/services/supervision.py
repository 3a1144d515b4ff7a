"""supervisord: its configuration, its start and its control socket."""

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from autoops.errors import ServiceUnavailable, SettingsError
from autoops.services.programs import Program

GROUP = "autoops"
_SOCKET_PATH_LIMIT = 90
"""Bytes. The kernel accepts 107, and supervisord first binds the path with its process id appended."""


@dataclass(frozen=True)
class ProcessState:
    """State of a program: supervisord's (STARTING, RUNNING, BACKOFF, STOPPED, EXITED, FATAL), or GONE without one."""

    name: str
    state: str
    pid: int | None

    @property
    def alive(self) -> bool:
        """Return whether the program is starting or running; in BACKOFF it has no process."""
        return self.state in ("STARTING", "RUNNING")

    @property
    def given_up(self) -> bool:
        """Return whether no start is to be expected: supervisord gave up, or does not report the program."""
        return self.state in ("FATAL", "GONE")


class Supervisor:
    """The supervisord of one home; it may or may not be running."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._run = home / "run"

    def log(self, name: str) -> Path:
        """Return the path of the log of a program, or of supervisord itself, in the home's `logs`."""
        return self._home / "logs" / f"{name}.log"

    def start(self, programs: Sequence[Program], environment: Mapping[str, str]) -> None:
        """Start supervisord in the background, without its programs: `start_program` starts each by name.

        Raises:
            SettingsError: supervisord's configuration file cannot express the path of the home.
            ServiceUnavailable: supervisord did not start.
        """
        if any(special in str(self._home) for special in ("%", " ;", " #", "\n")):
            raise SettingsError(f"storage.home: {self._home}: supervisord takes no path with %, ' ;' or ' #'")
        self.log("supervisord").parent.mkdir(parents=True, exist_ok=True)
        self.clear()
        configuration = self._run / "supervisord.conf"
        configuration.write_text(self._configuration(programs))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
        # Ends at once: without --nodaemon supervisord goes on in the background.
        done = subprocess.run(
            command, env=dict(environment), cwd=self._run, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServiceUnavailable(f"supervisord did not start: {(done.stderr or done.stdout).strip()}")

    def start_program(self, name: str) -> None:
        """Have supervisord start the program, without waiting until it runs."""
        self._call("startProcess", f"{GROUP}:{name}", False)

    def states(self) -> dict[str, ProcessState]:
        """Return the state of each program by name, empty if supervisord does not run."""
        try:
            found = cast(list[dict[str, Any]], self._call("getAllProcessInfo"))
        except ServiceUnavailable:
            return {}
        # supervisord reports pid 0 for a program without a process.
        return {one["name"]: ProcessState(one["name"], one["statename"], one["pid"] or None) for one in found}

    def stop(self, timeout_s: float) -> bool:
        """Have supervisord stop all programs and itself, and wait for it; return False if it does not run."""
        pid = self._call("getPID") if self.states() else None
        if not isinstance(pid, int):
            return False
        self._call("shutdown")
        with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            psutil.Process(pid).wait(timeout_s)
        return True

    def clear(self) -> None:
        """Remove the socket and the pid file that a killed supervisord left."""
        for left in (self._socket, self._run / "supervisord.pid"):
            left.unlink(missing_ok=True)

    @property
    def _socket(self) -> Path:
        preferred = self._run / "supervisor.sock"
        if len(str(preferred).encode()) <= _SOCKET_PATH_LIMIT:
            return preferred
        return Path(tempfile.gettempdir()) / f"autoops-{sha256(str(self._home).encode()).hexdigest()[:16]}.sock"

    def _call(self, method: str, *arguments: object) -> object:
        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        try:
            # ServerProxy insists on a URL; the transport connects to the socket whatever it is.
            with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return cast(object, getattr(proxy.supervisor, method)(*arguments))
        except (OSError, HTTPException, Fault) as error:
            raise ServiceUnavailable(f"supervisord, {method}: {error}") from error

    def _configuration(self, programs: Sequence[Program]) -> str:
        """Return supervisord.conf, with one group so that all programs stop at the same time. Logs rotate at 10 MB."""
        sections: dict[str, Mapping[str, object]] = {
            "unix_http_server": {"file": self._socket, "chmod": "0700"},
            "supervisord": {
                "logfile": self.log("supervisord"),
                "pidfile": self._run / "supervisord.pid",
                "childlogdir": self._home / "logs",
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            f"group:{GROUP}": {"programs": ",".join(program.name for program in programs)},
            **{f"program:{program.name}": self._program(program) for program in programs},
        }
        return "\n".join(
            f"[{section}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())
            for section, values in sections.items()
        )

    def _program(self, program: Program) -> Mapping[str, object]:
        return {
            "command": shlex.join(program.command),
            "directory": self._run,
            "autostart": "false",
            "autorestart": "true",
            "startsecs": 3,
            "startretries": 2,
            # To the group: MLflow and Airflow start processes that would outlive them.
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": program.stop_timeout_s,
            "redirect_stderr": "true",
            "stdout_logfile": self.log(program.name),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": 3,
        }
