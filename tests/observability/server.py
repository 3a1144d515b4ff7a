"""A real Prometheus with the configuration that the stack ships, and what can be asked of it."""

import math
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.eventually import eventually
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "docker" / "prometheus"
STARTS_WITHIN_S = 300


@cache
def program(name: str) -> Path:
    """prometheus or promtool."""
    done = subprocess.run([ROOT / "scripts" / "prometheus.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()) / name


class Prometheus:
    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def ready(self) -> bool:
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer; a query that is refused fails with Prometheus's own words."""
        answer = self._http.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[float]:
        """The values now, but for those that are no numbers.

        A busy machine misses a scrape now and then, and has no value until the next one: then it is asked again.
        """
        until = time.monotonic() + 5
        while True:
            found = [float(sample["value"][1]) for sample in self.ask("query", query=expression)["result"]]
            values = [value for value in found if not math.isnan(value)]
            if values or time.monotonic() > until:
                return values
            time.sleep(0.2)

    def scrapes(self, job: str) -> int:
        return int(sum(self.query(f'sum(count_over_time(up{{job="{job}"}}[1h]))')))

    def wait_for_scrapes(self, job: str, more: int = 2) -> None:
        enough = self.scrapes(job) + more
        eventually(lambda: self.scrapes(job) >= enough, 30, f"{job} was scraped {more} times more")

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]


def configured(targets: Mapping[str, str]) -> dict[str, Any]:
    """As shipped, but for where the jobs' targets are, how often they are asked and with which key."""
    shipped: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    shipped["global"] |= {"scrape_interval": "1s", "evaluation_interval": "500ms"}
    shipped["rule_files"] = [str(SHIPPED / name) for name in shipped["rule_files"]]
    for job in shipped["scrape_configs"]:
        for of_the_stack in ("dns_sd_configs", "authorization"):
            job.pop(of_the_stack, None)
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    return shipped


@contextmanager
def running(directory: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """`targets` are host and port by job; Prometheus scrapes itself, too."""
    address = f"127.0.0.1:{free_port()}"
    configuration = directory / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(configured({**targets, "prometheus": address})))
    command = [
        str(program("prometheus")),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (directory / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            prometheus = Prometheus(f"http://{address}")
            eventually(prometheus.ready, STARTS_WITHIN_S, "Prometheus is ready")
            yield prometheus
        finally:
            process.terminate()
