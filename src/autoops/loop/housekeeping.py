"""What `autoops prune` and the DAG `prune` delete, each kind by its own setting. The ledger and incidents stay."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.data import retention
from autoops.loop.promote.promotion import MOVE
from autoops.loop.retrain.steps import TRAINED
from autoops.models.registry import CHALLENGER, CHAMPION, PREVIOUS
from autoops.storage import tables
from autoops.storage.database import storage_errors

ACTOR = "prune"
DELETED: Final = "version deleted"
UNJUDGED = ("no new data", "not enough data")

_NAME = re.compile(r"check-v\d+-(\d{8}T\d{6})")


@dataclass(frozen=True)
class Swept:
    """How many objects of one kind were deleted; `keep` names the setting that limits what stays."""

    what: str
    deleted: int
    keep: str


def prune(context: Context) -> list[Swept]:
    """Delete what exceeds its retention setting, and nothing of a kind whose setting is null.

    The function may be interrupted at any moment and run again.
    """
    return list(_swept(context))


def _swept(context: Context) -> Iterator[Swept]:
    storage = context.settings.storage
    if (before := _before(context, storage.retention_days)) is not None:
        rows = retention.prune(context, before)
        yield Swept("predictions", rows.predictions, "storage.retention_days")
        yield Swept("labels", rows.labels, "storage.retention_days")
    if (before := _before(context, storage.reports_days)) is not None:
        yield Swept("checks that judged nothing", _checks(context, before), "storage.reports_days")
        yield Swept("reports here", _reports(context, before), "storage.reports_days")
        yield Swept("reports in MLflow", context.registry.delete_checks(before), "storage.reports_days")
        yield Swept("alerts", _alerts(context, before), "storage.reports_days")
        yield Swept("API instances", _instances(context, before), "storage.reports_days")
    if (before := _before(context, storage.versions_days)) is not None:
        yield Swept("model versions", _versions(context, before), "storage.versions_days")
    if storage.months_kept is not None:
        yield Swept("months", _months(context, storage.months_kept), "storage.months_kept")


def _before(context: Context, days: float | None) -> datetime | None:
    return None if days is None else context.clock.now() - timedelta(days=days)


def _checks(context: Context, before: datetime) -> int:
    """Delete old checks that judged nothing, but not the newest check of a version: it holds the cursor."""
    checks = tables.checks.c
    newest = sa.select(sa.func.max(checks.id)).group_by(checks.model_version)
    old = (checks.checked_at < before) & checks.verdict.in_(UNJUDGED) & checks.id.not_in(newest)
    return _delete(context, sa.delete(tables.checks).where(old))


def _alerts(context: Context, before: datetime) -> int:
    """Delete old settled alerts whose ledger entry is as old: a younger entry without an alert would be sent again."""
    alerts, ledger = tables.alerts.c, tables.ledger.c
    entries = sa.select(ledger.id).where(ledger.at < before)
    old = sa.select(alerts.id).where(alerts.settled_at < before, alerts.ledger_id.in_(entries))
    _delete(context, sa.delete(tables.deliveries).where(tables.deliveries.c.alert_id.in_(old)))
    return _delete(context, sa.delete(tables.alerts).where(alerts.id.in_(old)))


def _instances(context: Context, before: datetime) -> int:
    """Delete old instances, but not the newest: the watchdog reports a missing API only where one existed."""
    instances = tables.instances.c
    newest = sa.select(sa.func.max(instances.seen_at)).scalar_subquery()
    return _delete(context, sa.delete(tables.instances).where(instances.seen_at < before, instances.seen_at < newest))


def _delete(context: Context, statement: sa.Delete) -> int:
    with storage_errors(), context.log.engine.begin() as connection:
        return connection.execute(statement).rowcount


def _reports(context: Context, before: datetime) -> int:
    """Delete old report folders; the name of a folder contains the time of its check."""
    deleted = 0
    for folder in context.reports.glob("check-v*"):
        named = _NAME.match(folder.name)
        if named and datetime.strptime(named[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) < before:
            shutil.rmtree(folder)
            deleted += 1
    return deleted


def _versions(context: Context, before: datetime) -> int:
    """Delete versions that the ledger records as trained before `before` and that nothing needs any more.

    The lock keeps the aliases from moving meanwhile.
    """
    registry, settings = context.registry, context.settings
    with context.ledger.advisory_lock(MOVE):
        trained = {entry.model_version: entry.at for entry in context.ledger.entries(kind=TRAINED)}
        # `serving.model_version` may pin a version that no alias names; its words match no number.
        needed = {settings.serving.model_version, *_in_work(context), *_moved_since(context, before)}
        for alias in (CHAMPION, PREVIOUS, CHALLENGER):
            holder = registry.by_alias(alias)
            needed |= {holder.number} if holder else set()
        known = [version.number for version in registry.versions()]
        old = [number for number in known if number in trained and trained[number] < before and number not in needed]
        for number in old:
            # A kill in between loses the entry; in the other order the entry would be untrue.
            registry.delete_version(number)
            reason = f"version {number}, trained {trained[number]:%Y-%m-%d}, is older than storage.versions_days"
            context.ledger.record(DELETED, reason, actor=ACTOR, model_version=number)
    return len(old)


def _in_work(context: Context) -> Iterator[int | None]:
    """Yield the versions that an unresolved incident is about, or that its ledger entries name."""
    for incident in context.ledger.incidents(unresolved=True):
        yield incident.model_version
        yield from (entry.model_version for entry in context.ledger.entries(incident_id=incident.id))


def _moved_since(context: Context, before: datetime) -> Iterator[int | None]:
    """Yield the versions that were champion at `before` or later, by the moves of the alias.

    A rollback yields two versions: the one that it took out of service and the one that it restored.
    """
    moves = [entry for kind in ("promoted", "rolled back") for entry in context.ledger.entries(kind=kind)]
    moves.sort(key=lambda entry: entry.id)
    for number, move in enumerate(moves, 1):
        # A tenure ends with the next move, so it reaches `before` if that move is not older.
        if number == len(moves) or moves[number].at >= before:
            yield move.model_version
            yield move.evidence.get("restored")


def _months(context: Context, kept: int) -> int:
    old = context.store.months()[:-kept]
    for month in old:
        context.store.delete(month.month)
    return len(old)
