"""Which API processes are alive, and which version each of them serves."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from autoops.storage import tables
from autoops.storage.database import storage_errors


@dataclass(frozen=True, slots=True)
class Instance:
    """An API process that has sent a heartbeat; `hostname` is the container's id or the pod's name."""

    id: str
    hostname: str | None
    model_version: int | None

    @property
    def name(self) -> str:
        """Return hostname and the first 8 characters of the id; the whole id if the hostname is None."""
        return f"{self.hostname} ({self.id[:8]})" if self.hostname else self.id


class Instances:
    """Heartbeats of API processes, from which follows whether every replica serves version N."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def beat(
        self,
        instance_id: str,
        model_version: int | None,
        started_at: datetime,
        now: datetime,
        hostname: str | None = None,
    ) -> None:
        """Record that the instance is alive and which version it serves."""
        values = {"model_version": model_version, "seen_at": now, "hostname": hostname}
        with storage_errors(), self._engine.begin() as connection:
            # No upsert, which differs between the dialects: no other process writes this row.
            mine = tables.instances.c.id == instance_id
            if connection.execute(sa.update(tables.instances).where(mine).values(values)).rowcount == 0:
                connection.execute(sa.insert(tables.instances).values(id=instance_id, started_at=started_at, **values))

    def leave(self, instance_id: str) -> None:
        """Remove the instance; do nothing if it is not there."""
        with storage_errors(), self._engine.begin() as connection:
            connection.execute(sa.delete(tables.instances).where(tables.instances.c.id == instance_id))

    def serving(self, seen_since: datetime) -> list[Instance]:
        """Return the instances with a heartbeat since then, in the order of their starts."""
        table = tables.instances.c
        query = sa.select(table.id, table.hostname, table.model_version).where(table.seen_at >= seen_since)
        with storage_errors(), self._engine.connect() as connection:
            return [Instance(*row) for row in connection.execute(query.order_by(table.started_at, table.id))]
