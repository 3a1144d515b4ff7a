"""What cleaning kept of the months that the loop looked at, as figures from the ledger."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from autoops.loop.figures_samples import counter, counters
from autoops.loop.ledger import Ledger


def month_figures(ledger: Ledger) -> Iterator[Metric]:
    """Of a month that was published again, both editions count."""
    ingested = [entry.evidence for entry in ledger.entries(kind="ingested")]
    dropped: Counter[str] = Counter()
    for month in ingested:
        dropped.update(month["dropped"])
    yield counter("autoops_rows_read", "Rows of published months, as they came", sum(m["rows_read"] for m in ingested))
    yield counter("autoops_rows_kept", "Rows that are trips", sum(m["rows"] for m in ingested))
    yield counters("autoops_rows_dropped", "Rows dropped by cleaning, by reason", "reason", (), dropped)
