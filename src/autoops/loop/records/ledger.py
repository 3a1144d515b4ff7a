"""The ledger: incidents, claims of runs on them, and an append-only record of every decision with its evidence."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa

from autoops.clock import Clock
from autoops.errors import Conflict, NotFound
from autoops.loop.records.advisory_lock import advisory_lock
from autoops.loop.records.kinds import EntryKind, IncidentKind
from autoops.storage import tables
from autoops.storage.database import storage_errors
from autoops.telemetry import logs

logger = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 120.0

PAGE: Final = "page"
"""The kind of an entry that calls for a person."""

Status = Literal["open", "waiting_for_data", "waiting_for_approval", "closed"]
_STATUS_KINDS: Mapping[Status, EntryKind] = {
    "open": "incident open",
    "waiting_for_data": "incident waiting for data",
    "waiting_for_approval": "incident waiting for approval",
    "closed": "incident closed",
}


@dataclass(frozen=True)
class Incident:
    """A reason to retrain that is on record.

    `kind` is drift, re-evaluation (an interim one), scheduled (a scheduled retraining) or manual.
    `evidence_start` and `evidence_end` are event times. No two incidents share a `key`, where they have one.
    """

    id: int
    opened_at: datetime
    evidence_start: datetime | None
    evidence_end: datetime | None
    kind: IncidentKind
    reason: str
    model_version: int | None
    status: Status
    outcome: str | None
    closed_at: datetime | None
    key: str | None = None


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger; `incident_id` and `model_version` are None where it is about none."""

    id: int
    at: datetime
    kind: EntryKind
    actor: str
    incident_id: int | None
    model_version: int | None
    reason: str
    evidence: Mapping[str, Any]


class Ledger:
    """The ledger in the database; every method is one transaction.

    Raises:
        StorageUnavailable: the transaction fails, in any method.
    """

    def __init__(self, engine: sa.Engine, clock: Clock, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self._engine = engine
        self._clock = clock
        self._lock_timeout_s = lock_timeout_s

    def record(
        self,
        kind: EntryKind,
        reason: str,
        *,
        actor: str,
        incident_id: int | None = None,
        model_version: int | None = None,
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Append an entry."""
        entry = self._entry(kind, reason, actor, incident_id, model_version, evidence)
        with storage_errors(), self._engine.begin() as connection:
            connection.execute(entry)
        _tell(entry)

    def _entry(
        self,
        kind: EntryKind,
        reason: str,
        actor: str,
        incident_id: int | None,
        model_version: int | None,
        evidence: Mapping[str, Any] | None,
    ) -> sa.Insert:
        return sa.insert(tables.ledger).values(
            at=self._clock.now(),
            kind=kind,
            actor=actor,
            incident_id=incident_id,
            model_version=model_version,
            reason=reason,
            evidence=dict(evidence or {}),
        )

    def entries(
        self, *, incident_id: int | None = None, kind: EntryKind | None = None, model_version: int | None = None
    ) -> list[Entry]:
        """Return the entries that match all conditions, oldest first."""
        query = sa.select(tables.ledger).order_by(tables.ledger.c.id)
        if incident_id is not None:
            query = query.where(tables.ledger.c.incident_id == incident_id)
        if kind is not None:
            query = query.where(tables.ledger.c.kind == kind)
        if model_version is not None:
            query = query.where(tables.ledger.c.model_version == model_version)
        with storage_errors(), self._engine.connect() as connection:
            return [Entry(**row) for row in connection.execute(query).mappings()]

    def latest(
        self,
        limit: int,
        *,
        kinds: Sequence[EntryKind] = (),
        incident_id: int | None = None,
        model_version: int | None = None,
        before: int | None = None,
    ) -> list[Entry]:
        """Return the newest `limit` entries that match all conditions, newest first; `before` is an id (exclusive)."""
        entry, conditions = tables.ledger.c, []
        if incident_id is not None:
            conditions.append(entry.incident_id == incident_id)
        if model_version is not None:
            conditions.append(entry.model_version == model_version)
        if before is not None:
            conditions.append(entry.id < before)
        query = sa.select(tables.ledger).where(*conditions).order_by(entry.id.desc()).limit(limit)
        if kinds:
            # A query for each kind along its index. With IN, the search for a rare kind reads the whole ledger.
            newest = sa.select(entry.id).where(*conditions).order_by(entry.at.desc(), entry.id.desc()).limit(limit)
            parts = [sa.select(newest.where(entry.kind == kind).subquery().c.id) for kind in kinds]
            query = query.where(entry.id.in_(sa.union_all(*parts)))
        with storage_errors(), self._engine.connect() as connection:
            return [Entry(**row) for row in connection.execute(query).mappings()]

    def open_incident(
        self,
        kind: IncidentKind,
        reason: str,
        *,
        actor: str,
        model_version: int | None = None,
        evidence_start: datetime | None = None,
        evidence_end: datetime | None = None,
        evidence: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> int:
        """Open an incident and record why, both or neither; return its id.

        Raises:
            Conflict: an incident with this key was opened before, such as by a concurrent check.
        """
        values = {
            "opened_at": self._clock.now(),
            "evidence_start": evidence_start,
            "evidence_end": evidence_end,
            "kind": kind,
            "reason": reason,
            "model_version": model_version,
            "status": "open",
            "key": key,
        }
        try:
            with storage_errors(), self._engine.begin() as connection:
                inserted = connection.execute(sa.insert(tables.incidents).values(values)).inserted_primary_key
                assert inserted is not None
                incident_id = int(inserted[0])
                entry = self._entry("incident opened", reason, actor, incident_id, model_version, evidence)
                connection.execute(entry)
        except sa.exc.IntegrityError:
            # The unique index decides between concurrent checks; a look-up before would be a race.
            raise Conflict(f"there is an incident {key!r} already") from None
        _tell(entry)
        return incident_id

    def incident(self, incident_id: int) -> Incident:
        """Return the incident.

        Raises:
            NotFound: there is no such incident.
        """
        found = self._incidents(tables.incidents.c.id == incident_id)
        if not found:
            raise NotFound(f"incident {incident_id}: there is no such incident")
        return found[0]

    def incidents(self, *, unresolved: bool = False, limit: int | None = None) -> list[Incident]:
        """Return the newest `limit` incidents, newest first; with `unresolved` only those that are not closed."""
        return self._incidents(tables.incidents.c.status != "closed" if unresolved else sa.true(), limit)

    def _incidents(self, condition: sa.ColumnElement[bool], limit: int | None = None) -> list[Incident]:
        # Two columns have other names in the database: with labels, rows have the names of fields.
        columns = [column.label(column.key) for column in tables.incidents.c]
        query = sa.select(*columns).where(condition).order_by(tables.incidents.c.id.desc()).limit(limit)
        with storage_errors(), self._engine.connect() as connection:
            return [Incident(**row) for row in connection.execute(query).mappings()]

    def set_status(self, incident_id: int, status: Status, reason: str, *, actor: str) -> None:
        """Set the status and record it; do nothing if the incident has that status already, or is closed."""
        kind = _STATUS_KINDS[status]
        self._change(incident_id, {"status": status}, self._entry(kind, reason, actor, incident_id, None, None))

    def close(self, incident_id: int, outcome: str, *, actor: str) -> None:
        """Close the incident and record its outcome; a second call does nothing."""
        values = {"status": "closed", "outcome": outcome, "closed_at": self._clock.now()}
        self._change(incident_id, values, self._entry("incident closed", outcome, actor, incident_id, None, None))

    def _change(self, incident_id: int, values: Mapping[str, Any], entry: sa.Insert) -> None:
        """Change the incident and add its entry, both or neither."""
        incident = tables.incidents.c
        # In the UPDATE itself, so that a late writer cannot reopen what was closed meanwhile.
        changes = (incident.id == incident_id) & incident.status.not_in(["closed", values["status"]])
        with storage_errors(), self._engine.begin() as connection:
            changed = connection.execute(sa.update(tables.incidents).where(changes).values(values)).rowcount > 0
            if changed:
                connection.execute(entry)
        if changed:
            _tell(entry)

    def advisory_lock(self, what: str) -> AbstractContextManager[None]:
        """Return a lock for code that reads the ledger, decides and then writes: one process at a time holds it.

        Raises:
            Conflict: another process holds it for longer than `storage.lock_timeout_s`; the message names that process.
        """
        return advisory_lock(self._engine, what, self._lock_timeout_s)

    def claim(self, incident_id: int, action: str, holder: str) -> None:
        """Claim an action on an incident for `holder`; a repeat by the same holder changes nothing.

        Raises:
            Conflict: another holder has claimed it.
        """
        table = tables.claims
        # Insert first: the primary key decides between concurrent runs, where a look-up would race.
        values = {"incident_id": incident_id, "action": action, "holder": holder, "claimed_at": self._clock.now()}
        try:
            with storage_errors(), self._engine.begin() as connection:
                connection.execute(sa.insert(table).values(values))
        except sa.exc.IntegrityError:
            holds = self.holder(incident_id, action)
            if holds != holder:
                raise Conflict(f"incident {incident_id}: {action} is claimed by {holds}") from None

    def hand_over(self, incident_id: int, action: str, holder: str, to: str) -> None:
        """Pass the claim from `holder` on to `to`; do nothing if another holds it by now."""
        claim = tables.claims.c
        held = (claim.incident_id == incident_id) & (claim.action == action) & (claim.holder == holder)
        with storage_errors(), self._engine.begin() as connection:
            values = {"holder": to, "claimed_at": self._clock.now()}
            connection.execute(sa.update(tables.claims).where(held).values(values))

    def holder(self, incident_id: int, action: str) -> str | None:
        """Return who has claimed the action on the incident; None if nobody has."""
        table = tables.claims
        query = sa.select(table.c.holder).where(table.c.incident_id == incident_id, table.c.action == action)
        with storage_errors(), self._engine.connect() as connection:
            return connection.scalar(query)

    def claimed_by(self, holder: str, action: str) -> int | None:
        """Return the incident on which `holder` claimed the action, if any."""
        table = tables.claims
        query = sa.select(table.c.incident_id).where(table.c.holder == holder, table.c.action == action)
        with storage_errors(), self._engine.connect() as connection:
            return connection.scalar(query)


def _tell(entry: sa.Insert) -> None:
    """Write the entry to the log as well, without its evidence."""
    said = entry.compile().params
    subject = {name: said[name] for name in ("incident_id", "model_version") if said[name] is not None}
    with logs.about(**subject):
        logger.info("%s: %s (%s)", said["kind"], said["reason"], said["actor"])
