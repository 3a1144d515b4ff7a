"""Metrics for Prometheus. Each app has a collector registry of its own, so that two apps in a process do not mix."""

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

# Prometheus' default buckets begin at 5 ms, ten times what a single prediction takes.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one app; any thread may change them."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("autoops_http_requests", "Requests", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "autoops_http_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=registry
        )
        self._predictions = Counter("autoops_predictions", "Predictions logged", ["model_version"], registry=registry)
        self._unseen = Counter(
            "autoops_unseen_category_predictions", "Predictions with a category unseen in training", registry=registry
        )
        self._implausible_times = Counter(
            "autoops_implausible_time_predictions",
            "Predictions with an event time more than a day after them or forty years before",
            registry=registry,
        )
        self._labels = Counter(
            "autoops_ground_truth_labels", "Labels by what became of them", ["status"], registry=registry
        )
        self._reloads = Counter(
            "autoops_model_reloads", "Changes of the model, by outcome", ["outcome"], registry=registry
        )

        # `labels` takes a lock and makes strings at each call. The caches stay small: routes and
        # statuses are few, and every unknown path has the route "other".
        self._of_status = cache(self._requests.labels)
        self._of_route = cache(self._seconds.labels)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge whose value is read at each scrape."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request and the seconds that it took; `route` is a route of the app or "other"."""
        self._of_status(route, status).inc()
        self._of_route(route).observe(seconds)

    def predicted(self, model_version: int, rows: int, unseen: int, implausible_times: int) -> None:
        """Count predictions that are new in the log."""
        self._predictions.labels(model_version).inc(rows)
        self._unseen.inc(unseen)
        self._implausible_times.inc(implausible_times)

    def labelled(self, attached: int, pending: int, refused: int) -> None:
        """Count labels: stored with a known prediction, stored without one yet, and malformed."""
        for status, count in (("attached", attached), ("pending", pending), ("refused", refused)):
            self._labels.labels(status).inc(count)

    def reloaded(self, outcome: str) -> None:
        """Count a check of the registry by its outcome, unless it changed nothing."""
        if outcome not in ("unchanged", "skipped"):
            self._reloads.labels(outcome).inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format; the gauges are read now."""
        return generate_latest(self._registry)
