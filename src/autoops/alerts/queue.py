"""Alerts to deliver, and their deliveries to receivers.

The ledger is the source. A new entry is one without an alert, and not one after a position, because entries of
concurrent transactions become visible in any order.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from autoops.alerts.messages import Message
from autoops.clock import Clock
from autoops.loop.records.ledger import Entry
from autoops.storage import tables
from autoops.storage.database import storage_errors

TABLE, DELIVERIES, LEDGER = tables.alerts.c, tables.deliveries.c, tables.ledger.c


@dataclass(frozen=True)
class Alert:
    """An alert in the queue; `settled_at` is the time of its delivery to the last receiver, or when it was given up."""

    id: int
    ledger_id: int
    queued_at: datetime
    event: str
    urgency: str
    title: str
    body: str
    failures: int
    last_failure: str | None
    settled_at: datetime | None

    @property
    def message(self) -> Message:
        """Return the text of the alert, as receivers get it."""
        return Message(self.event, self.urgency, self.title, self.body)  # type: ignore[arg-type]


class AlertQueue:
    """Every method is one transaction and raises StorageUnavailable if the database is away."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def new_entries(self, kinds: Collection[str], since: datetime) -> list[Entry]:
        """Return the ledger entries of these kinds since `since` that have no alert, oldest first."""
        of_alerts = tables.ledger.outerjoin(tables.alerts, TABLE.ledger_id == LEDGER.id)
        query = (
            sa.select(tables.ledger)
            .select_from(of_alerts)
            # `since` bounds the work as well: an index on kind and time finds the entries.
            .where(TABLE.id.is_(None), LEDGER.kind.in_(kinds), LEDGER.at >= since)
            .order_by(LEDGER.id)
        )
        with storage_errors(), self._engine.connect() as connection:
            return [Entry(**row) for row in connection.execute(query).mappings()]

    def add(self, ledger_id: int, message: Message) -> bool:
        """Queue an alert for the entry; return False if the entry has one already."""
        values: dict[str, object] = {
            "ledger_id": ledger_id,
            "queued_at": self._clock.now(),
            "event": message.event,
            "urgency": message.urgency,
            "title": message.title,
            "body": message.body,
            "failures": 0,
        }
        try:
            with storage_errors(), self._engine.begin() as connection:
                connection.execute(sa.insert(tables.alerts).values(values))
        # `ledger_id` is unique: another process has queued the alert since the entry was read.
        except sa.exc.IntegrityError:
            return False
        return True

    def alerts(self, *, unsettled: bool = False, limit: int | None = None) -> list[Alert]:
        """Return alerts, newest first."""
        query = sa.select(tables.alerts).order_by(TABLE.id.desc()).limit(limit)
        if unsettled:
            query = query.where(TABLE.settled_at.is_(None))
        with storage_errors(), self._engine.connect() as connection:
            return [Alert(**row) for row in connection.execute(query).mappings()]

    def told(self, alert_id: int) -> set[str]:
        """Return the names of the receivers that accepted the alert."""
        query = sa.select(DELIVERIES.receiver).where(DELIVERIES.alert_id == alert_id)
        with storage_errors(), self._engine.connect() as connection:
            return set(connection.scalars(query))

    def told_since(self, receiver: str, moment: datetime) -> int:
        """Return how many alerts the receiver has accepted after `moment`."""
        mine = (DELIVERIES.receiver == receiver) & (DELIVERIES.told_at > moment)
        with storage_errors(), self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(tables.deliveries).where(mine)) or 0

    def note_told(self, alert_id: int, receiver: str) -> None:
        """Record, with the present time, that the receiver has accepted the alert; once for each receiver."""
        values = {"alert_id": alert_id, "receiver": receiver, "told_at": self._clock.now()}
        with storage_errors(), self._engine.begin() as connection:
            connection.execute(sa.insert(tables.deliveries).values(values))

    def note_failure(self, alert_id: int, reason: str) -> None:
        """Count a failed delivery, and replace the last reason by `reason`; the alert stays unsettled."""
        values = {"failures": TABLE.failures + 1, "last_failure": reason}
        self._change(alert_id, values)

    def settle(self, alert_id: int) -> None:
        """Mark the alert as settled at the present time, because every receiver has accepted it."""
        self._change(alert_id, {"settled_at": self._clock.now()})

    def give_up(self, alert_id: int, reason: str) -> None:
        """Mark the alert as settled though receivers lack it; `reason` replaces its last failure."""
        self._change(alert_id, {"settled_at": self._clock.now(), "last_failure": reason})

    def _change(self, alert_id: int, values: Mapping[str, object]) -> None:
        with storage_errors(), self._engine.begin() as connection:
            connection.execute(sa.update(tables.alerts).where(TABLE.id == alert_id).values(values))
