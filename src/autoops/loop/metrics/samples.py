"""Metric families from plain values."""

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

Values = Mapping[str, float | None]
"""Values by the value of the only label."""


def gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    """Return a gauge, without a sample where the value is None."""
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric([], value)
    return family


def gauges(name: str, text: str, label: str, values: Values) -> GaugeMetricFamily:
    """Return a gauge with a sample for each label value, without those whose value is None."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for of, value in values.items():
        if value is not None:
            family.add_metric([of], value)
    return family


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    """Return a counter; its sample is called `name` with the suffix `_total`."""
    family = CounterMetricFamily(name, text)
    family.add_metric([], value)
    return family


def counters(
    name: str, text: str, label: str, known: Iterable[str], counts: Mapping[str, float]
) -> CounterMetricFamily:
    """Return a counter that starts at zero for each `known` label value.

    A series that starts at one hides its first increase.
    """
    family = CounterMetricFamily(name, text, labels=[label])
    for of, count in (dict.fromkeys(known, 0) | dict(counts)).items():
        family.add_metric([of], count)
    return family
