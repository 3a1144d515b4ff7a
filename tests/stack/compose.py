"""The stack as its operator has it: `docker compose`, an env file and the ports that this names."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack.waiting import NotYet, eventually

ROOT = Path(__file__).parents[2]
ONE_SHOTS = {"migrate", "keys", "sample-months", "bootstrap"}
UP_S, WELL_S = 1500, 300
SAID_LINES = 25


@dataclass(frozen=True)
class Container:
    """`health` is empty where there is no health check."""

    id: str
    name: str
    service: str
    state: str
    health: str
    exit_code: int

    @property
    def complaint(self) -> str | None:
        """Why the stack is not well because of this container."""
        if self.service in ONE_SHOTS:
            well = (self.state, self.exit_code) == ("exited", 0)
        else:
            well = (self.state, self.health) == ("running", "healthy")
        return None if well else f"{self.name} is {self.state} {self.health} ({self.exit_code})".replace("  ", " ")


class ComposeError(Exception):
    """A command that failed, with what it said."""


@dataclass(frozen=True)
class Stack:
    """The env file decides everything; a variable of the same name in the environment would win over it, so those
    are left out."""

    env_file: Path

    @property
    def env(self) -> dict[str, str]:
        lines = (line.partition("=") for line in self.env_file.read_text().splitlines() if not line.startswith("#"))
        return {name: value for name, separator, value in lines if separator}

    def url(self, service: str) -> str:
        """Of a published port: API, AIRFLOW, MLFLOW or PROMETHEUS."""
        return f"http://127.0.0.1:{self.env[f'{service}_PORT']}"

    @property
    def api_headers(self) -> dict[str, str]:
        """Of a client that predicts and sends ground truth."""
        return {"Authorization": f"Bearer {self.env['API_KEY']}"}

    def docker(self, *command: str, stdin: bytes | None = None, within_s: float = 300) -> str:
        """What the command wrote to stdout. Raises ComposeError when it fails."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in self.env and not name.startswith(("COMPOSE_", "AUTOOPS_"))
        }
        try:
            done = subprocess.run(
                ["docker", *command], cwd=ROOT, env=kept, input=stdin or b"", capture_output=True, timeout=within_s
            )
        except subprocess.TimeoutExpired as expired:
            raise ComposeError(f"{' '.join(command)}: not done within {within_s:g} s") from expired
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").splitlines()[-SAID_LINES:]
            raise ComposeError("\n".join([f"{' '.join(command)}: {done.returncode}", *said]))
        return done.stdout.decode(errors="replace")

    def compose(self, *command: str, stdin: bytes | None = None, within_s: float = 300) -> str:
        return self.docker(
            "compose", "--ansi", "never", "--env-file", str(self.env_file), *command, stdin=stdin, within_s=within_s
        )

    def up(self, *options: str) -> None:
        self.compose("up", "--detach", *options, within_s=UP_S)

    def down(self) -> None:
        """Takes the volumes, too."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", within_s=UP_S)

    def containers(self, service: str | None = None) -> list[Container]:
        """Of all services of the project, those that have ended included."""
        lines = self.compose("ps", "--all", "--format", "json", *([service] if service else [])).splitlines()
        return [
            Container(one["ID"], one["Name"], one["Service"], one["State"], one["Health"], one["ExitCode"])
            for one in map(json.loads, lines)
        ]

    def services(self) -> set[str]:
        """Those of the profiles that are on."""
        return set(self.compose("config", "--services").split())

    def complaints(self) -> list[str]:
        """What is not as it should be; empty when every service is there and well."""
        containers = self.containers()
        missing = self.services() - {container.service for container in containers}
        return [f"no container of {service}" for service in sorted(missing)] + [
            container.complaint for container in containers if container.complaint
        ]

    def wait_until_well(self) -> None:
        """Every service there, healthy or done."""

        def look() -> bool:
            if complaints := self.complaints():
                raise NotYet("; ".join(complaints))
            return True

        eventually(look, WELL_S, "every service is well")

    def inspect(self, container: Container) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker("inspect", container.id))[0]
        return found

    def run_in(self, container: Container, script: str, *arguments: str) -> str:
        """Output of a shell script inside a running container."""
        return self.docker("exec", "--interactive", container.id, "sh", "-s", *arguments, stdin=script.encode())
