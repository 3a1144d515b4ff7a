"""The stack's own Prometheus reaches whoever it asks."""

from tests.observability.server import Prometheus
from tests.stack.compose import Stack
from tests.stack.waiting import eventually

SCRAPED_S = 60


def test_every_job_answers(stack: Stack) -> None:
    prometheus = Prometheus(stack.url("PROMETHEUS"))
    for job in ("api", "loop", "prometheus"):
        up = f'min(up{{job="{job}"}})'
        eventually(lambda up=up: prometheus.query(up) == [1], SCRAPED_S, f"{job} is scraped")
