"""An API process of one's own, to be killed."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from autoops.settings import PREFIX, Settings
from tests import serving_app
from tests.fakes import DirectoryRegistry
from tests.ports import free_port

READY_WITHIN_S = 60
_QUIET = ("--log-level", "warning", "--no-access-log")


@dataclass(frozen=True)
class Running:
    """A process that is ready."""

    process: "subprocess.Popen[bytes]"
    url: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As a deploy does."""
        self.process.terminate()
        self.process.wait(timeout=60)


@dataclass(frozen=True)
class Api:
    """How it is started: `home` keeps its log, `settings` name its storage."""

    home: Path
    registry: DirectoryRegistry
    settings: Settings

    def start(self) -> Running:
        port = free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        storage = {
            f"{PREFIX}STORAGE__HOME": str(self.settings.storage.home),
            f"{PREFIX}STORAGE__URL": self.settings.database_url,
        }
        with (self.home / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "uvicorn",
                    "--factory",
                    "tests.serving_app:create",
                    "--port",
                    str(port),
                    *_QUIET,
                ],
                env=kept | storage | {serving_app.REGISTRY: str(self.registry.directory)},
                stdout=log,
                stderr=log,
            )
        running = Running(process, f"http://127.0.0.1:{port}")
        self._wait(running)
        return running

    def _wait(self, running: Running) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while running.process.poll() is None and time.monotonic() < deadline:
            try:
                if httpx.get(f"{running.url}/ready").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise SystemExit(f"the API did not start:\n{(self.home / 'server.log').read_text()[-2_000:]}")
