"""schemathesis against the API as a server of its own; the requests are counted by the server."""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from autoops.models.registry import CHAMPION
from benchmarks.peers import environments
from tests.bundles import register_small
from tests.fakes import DirectoryRegistry
from tests.integration.serving.test_durability import process

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MAX_BATCH = 20
"""Small, so that both sides of the limit are asked for."""

_COUNTED = re.compile(r'autoops_http_requests_total\{route="(.+)",status="(\d+)"\} (\d+)')


@dataclass
class Outcome:
    """`answers` by route and status."""

    held: bool = True
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        return self.answers.total()

    @property
    def server_errors(self) -> int:
        return sum(count for (_, status), count in self.answers.items() if status >= 500)


@contextmanager
def served(home: Path) -> Iterator[str]:
    """The URL of an API with a version of its own and a database in `home`."""
    registry = DirectoryRegistry(home / "registry")
    register_small(registry, home / "bundle")
    registry.set_alias(CHAMPION, 1)
    variables = {"STORAGE__HOME": str(home / "var"), "SERVING__MAX_BATCH": str(MAX_BATCH)}
    with process(home, registry, **{f"AUTOOPS__{name}": value for name, value in variables.items()}) as (_, url):
        yield url


def ask(url: str, home: Path, max_examples: int, seed: int) -> Outcome:
    """One run of all phases and checks; what fails is printed."""
    program = environments.programs("schemathesis", HERE) / "schemathesis"
    options = ["--max-examples", str(max_examples), "--seed", str(seed), "--workers", "2", "--no-color"]
    command = [str(program), "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json", *options]
    before = _counted(url)
    done = subprocess.run(command, cwd=home, env=_environment(os.environ), check=False)
    return Outcome(done.returncode == 0, _counted(url) - before)


def _environment(mine: Mapping[str, str]) -> dict[str, str]:
    """The hooks are found in this repository, and nothing else is."""
    return {name: value for name, value in mine.items() if not name.startswith("AUTOOPS")} | {"PYTHONPATH": str(ROOT)}


def _counted(url: str) -> Counter[tuple[str, int]]:
    found = _COUNTED.findall(httpx.get(f"{url}/metrics").text)
    return Counter({(route, int(status)): int(count) for route, status, count in found})
