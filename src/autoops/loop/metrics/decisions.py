"""Metrics of what the loop decided and which incidents are open, from the ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import get_args

import sqlalchemy as sa
from prometheus_client.metrics_core import Metric

from autoops.loop.metrics.samples import counter, counters, gauge, gauges
from autoops.loop.records.kinds import EntryKind, IncidentKind
from autoops.loop.records.ledger import Entry, Ledger
from autoops.storage import tables
from autoops.storage.database import storage_errors

OPEN = ("open", "waiting_for_data", "waiting_for_approval")
OUTCOMES = {"promote": None, "reject": "rejected", "inconclusive": "inconclusive"}
"""Outcomes by the gate's decision; a promotion counts once the alias has moved, after a person's approval if needed."""


def decision_figures(engine: sa.Engine, ledger: Ledger, now: datetime) -> Iterator[Metric]:
    """Yield the metrics of ledger entries, incidents, retrainings, the champion, and a freeze as of `now`."""
    entries = _counted(engine, tables.ledger.c.kind)
    yield counters("autoops_ledger_entries", "Decisions and events, by kind", "kind", get_args(EntryKind), entries)
    opened = _counted(engine, tables.incidents.c.kind)
    yield counters("autoops_incidents_opened", "Incidents opened, by kind", "kind", get_args(IncidentKind), opened)
    # Zeros where there is no incident, so that no series is missing.
    standing = dict.fromkeys(OPEN, 0.0) | Counter(one.status for one in ledger.incidents(unresolved=True))
    yield gauges("autoops_incidents", "Incidents that are not closed, by status", "status", standing)
    outcomes = _outcomes(engine, entries)
    yield counters("autoops_retrainings", "Retrainings, by outcome", "outcome", outcomes, outcomes)
    last = _last_move(ledger)
    yield gauge("autoops_champion_version", "Version in charge", _champion(last))
    yield gauge("autoops_champion_since_timestamp_seconds", "When it took over", last.at.timestamp() if last else None)
    thrown = _last(ledger, "frozen", "unfrozen")
    held = thrown if thrown is not None and thrown.kind == "frozen" else None
    yield gauge("autoops_frozen", "1: nothing happens by itself", float(held is not None))
    since = (now - held.at).total_seconds() if held else 0
    yield gauge("autoops_frozen_seconds", "How long the freeze has held; 0 without one", since)


def champion_since(ledger: Ledger) -> datetime | None:
    """Return the time of the last promotion or rollback; None without one."""
    last = _last_move(ledger)
    return last.at if last else None


def _counted(engine: sa.Engine, column: sa.Column[str]) -> Mapping[str, float]:
    with storage_errors(), engine.connect() as connection:
        return dict(connection.execute(sa.select(column, sa.func.count()).group_by(column)).all())


def _outcomes(engine: sa.Engine, entries: Mapping[str, float]) -> dict[str, float]:
    """Count retrainings by outcome; a forced promotion counts twice, by the gate's decision and as promoted."""
    ledger = tables.ledger.c
    # Promotions by hand and moves in MLflow have no incident, and are no retrainings.
    moved = sa.select(sa.func.count()).where(ledger.kind == "promoted", ledger.incident_id.is_not(None))
    # The gate's entry begins its reason with the decision (`retraining.gate`).
    said = {
        outcome: sa.select(sa.func.count()).where(ledger.kind == "gate", ledger.reason.startswith(f"{word}: "))
        for word, outcome in OUTCOMES.items()
        if outcome
    }
    with storage_errors(), engine.connect() as connection:
        found = {name: float(connection.scalar(query) or 0) for name, query in {"promoted": moved, **said}.items()}
    return found | {"failed": entries.get("retraining failed", 0)}


def _last(ledger: Ledger, *kinds: EntryKind) -> Entry | None:
    return next(iter(ledger.latest(1, kinds=kinds)), None)


def _last_move(ledger: Ledger) -> Entry | None:
    return _last(ledger, "promoted", "rolled back")


def _champion(move: Entry | None) -> float | None:
    if move is None:
        return None
    return float((move.evidence["restored"] if move.kind == "rolled back" else move.model_version) or 0)


def month_figures(ledger: Ledger) -> Iterator[Metric]:
    """Yield the row counts of ingested months; of a month that was published again, both editions count."""
    ingested = [entry.evidence for entry in ledger.entries(kind="ingested")]
    dropped: Counter[str] = Counter()
    for month in ingested:
        dropped.update(month["dropped"])
    yield counter("autoops_rows_read", "Rows of published months, as they came", sum(m["rows_read"] for m in ingested))
    yield counter("autoops_rows_kept", "Rows that cleaning kept", sum(m["rows"] for m in ingested))
    yield counters("autoops_rows_dropped", "Rows dropped by cleaning, by reason", "reason", (), dropped)
