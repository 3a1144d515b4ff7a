"""After the loop has run: what the stack's own Prometheus has of it."""

from tests.observability.server import Prometheus
from tests.observability.test_against_prometheus import queries
from tests.stack.compose import Stack
from tests.stack.waiting import eventually

SCRAPED_S = 60
UNLABELLED = {"model-health: Labels A", "model-health: Labels B", "model-health: Labelled trips behind the error B"}
"""Labels have a delay where live traffic is watched; here it is published months, whose trips come with theirs."""


def test_every_job_answers(stack: Stack) -> None:
    prometheus = Prometheus(stack.url("PROMETHEUS"))
    for job in ("api", "loop", "prometheus"):
        up = f'min(up{{job="{job}"}})'
        eventually(lambda up=up: prometheus.query(up) == [1], SCRAPED_S, f"{job} is scraped")


def test_every_query_of_a_dashboard_had_data_in_the_last_hour(stack: Stack) -> None:
    """What a version is judged by is gone when another has taken over, until that is judged."""
    prometheus = Prometheus(stack.url("PROMETHEUS"))
    empty = set()
    for query in queries():
        expression = query.expression.replace("$__rate_interval", "1h").replace("$__range", "1h")
        if not prometheus.query(f"last_over_time(({expression})[1h:15s])"):
            empty.add(query.where)
    assert empty <= UNLABELLED
