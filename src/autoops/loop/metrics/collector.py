"""Prometheus metrics of the loop, read from the database at each scrape.

The loop runs in tasks that end after seconds. There is no process to scrape, and what tasks push to a gateway would
stay there unchanged once they no longer run. The database holds all of it and outlives the tasks, so one small process
that reads it can report the state of the loop, and that the loop is silent.
"""

import logging
from collections.abc import Iterator

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from autoops.clock import Clock
from autoops.errors import StorageUnavailable
from autoops.loop.metrics.checks import check_figures
from autoops.loop.metrics.decisions import champion_since, decision_figures, month_figures
from autoops.loop.metrics.samples import gauge
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger

logger = logging.getLogger(__name__)

_THERE = "autoops_database_up", "0: the database does not answer, and nothing else is known"


class LoopFigures(Collector):
    """All metrics, or only that the database does not answer: older values would not be the current state."""

    def __init__(self, engine: sa.Engine, clock: Clock, check_interval_s: float) -> None:
        self._engine = engine
        self._clock = clock
        self._checks = CheckLog(engine, clock)
        self._ledger = Ledger(engine, clock)
        self._check_interval_s = check_interval_s

    def collect(self) -> list[Metric]:
        """Return all metrics as of now, or only `autoops_database_up` 0 if the database does not answer."""
        try:
            # A list, because a generator would raise outside of this `try`, while it is rendered.
            return [gauge(*_THERE, 1), *self._collected()]
        except StorageUnavailable as error:
            logger.warning("%s", error)
            return [gauge(*_THERE, 0)]

    def _collected(self) -> Iterator[Metric]:
        yield gauge("autoops_check_interval_seconds", "Between two scheduled checks", self._check_interval_s)
        yield from check_figures(self._engine, self._checks, champion_since(self._ledger))
        yield from decision_figures(self._engine, self._ledger, self._clock.now())
        yield from month_figures(self._ledger)


def registry_of(figures: LoopFigures) -> CollectorRegistry:
    """Return a registry of these metrics and of those of the process itself."""
    registry = CollectorRegistry()
    registry.register(figures)
    ProcessCollector(registry=registry)
    return registry
