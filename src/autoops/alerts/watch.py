"""Conditions that no other process reports, such as a silent monitor and an API that does not serve the champion.

A condition is recorded in the ledger when it begins and when it ends, and causes one alert each time. The monitor
cannot watch itself. The DAG `watchdog` watches it, and `autoops alerts send` does where Airflow itself may be down.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from autoops.errors import RegistryUnavailable
from autoops.loop.context import Context
from autoops.loop.data.label_lag import duration
from autoops.loop.incidents.freeze import frozen_by
from autoops.loop.promote.served import missing, serving_now
from autoops.loop.records.kinds import EntryKind
from autoops.loop.records.ledger import Entry
from autoops.loop.retrain.plan import ACTION, BEGUN, FAILED
from autoops.loop.retrain.retraining import record_failure
from autoops.models.registry import CHAMPION

logger = logging.getLogger(__name__)

ACTOR = "watchdog"
PATIENCE_S = 120
"""Grace period for a process that is starting or loading a new version, before the condition is recorded."""

PAUSE_S = 2
LEAST_SILENCE = timedelta(minutes=15)
"""A check of many windows may take so long."""


@dataclass(frozen=True)
class Trouble:
    """Reason why a condition holds now; `model_version` is None if it does not concern a version."""

    reason: str
    model_version: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Condition:
    """A condition to watch.

    `begins` and `ends` are kinds of ledger entries; those in `settles` end it too, such as a retraining's own
    confirmation.
    """

    begins: EntryKind
    ends: EntryKind
    look: Callable[[Context], Trouble | None]
    settles: tuple[EntryKind, ...] = ()
    passing: bool = True
    """Whether it may pass by itself within seconds. Then it is only recorded if it persists."""


def watch(context: Context, patience_s: float = PATIENCE_S) -> list[str]:
    """Record in the ledger the conditions that began or ended; return the reasons of those that hold now."""
    with context.ledger.advisory_lock("watch"):
        overdue = fail_overdue(context)
        found = (_watched(context, one, patience_s) for one in CONDITIONS)
        return overdue + [trouble.reason for trouble in found if trouble]


def fail_overdue(context: Context) -> list[str]:
    """Record as failed the retrainings that exceeded their time limit, and return a sentence on each.

    Their process may hang, or have been killed with its task, and cannot record it. Their incidents stay open, so that
    a person can take them up.
    """
    found = []
    allowed = timedelta(seconds=context.settings.training.run_timeout_s)
    for incident in context.ledger.incidents(unresolved=True):
        run_id = context.ledger.holder(incident.id, ACTION)
        # A person may take any time to approve.
        if run_id is None or incident.status == "waiting_for_approval":
            continue
        entries = [entry for entry in context.ledger.entries(incident_id=incident.id) if entry.kind in (*BEGUN, FAILED)]
        # Of the run that holds the claim: an earlier run of the incident may have failed long ago.
        own = [entry for entry in entries if entry.evidence.get("run_id") == run_id]
        if not own or own[-1].kind == FAILED or context.clock.now() - own[-1].at <= allowed:
            continue
        what = f"its deadline: it began {_hours(context.clock.now() - own[-1].at)} ago, training.timeout_s allows "
        what += f"{_hours(allowed)} for all steps"
        record_failure(context, incident.id, run_id, what, ACTOR)
        found.append(f"run {run_id} of incident {incident.id} failed at {what}")
    return found


def _watched(context: Context, condition: Condition, patience_s: float) -> Trouble | None:
    deadline = time.monotonic() + patience_s
    try:
        trouble = condition.look(context)
        while trouble and condition.passing and not _known(context, condition, trouble) and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
            trouble = condition.look(context)
    # Unknown is neither the begin of a condition nor its end, so that nothing is recorded.
    except RegistryUnavailable as error:
        logger.warning("cannot see whether it is %s: %s", condition.begins, error)
        return None
    _record(context, condition, trouble)
    return trouble


def _record(context: Context, condition: Condition, trouble: Trouble | None) -> None:
    standing = _standing(context, condition)
    if trouble and not _known(context, condition, trouble):
        context.ledger.record(
            condition.begins,
            trouble.reason,
            actor=ACTOR,
            model_version=trouble.model_version,
            evidence=trouble.evidence,
        )
    elif standing and not trouble:
        reason = f"it was not since {standing.at:%Y-%m-%d %H:%M} UTC"
        context.ledger.record(condition.ends, reason, actor=ACTOR, model_version=standing.model_version)


def _known(context: Context, condition: Condition, trouble: Trouble) -> bool:
    standing = _standing(context, condition)
    # For another version it is a new condition, with an alert of its own.
    return standing is not None and standing.model_version == trouble.model_version


def _standing(context: Context, condition: Condition) -> Entry | None:
    """Return the ledger entry with which the condition began, None if it does not hold."""
    kinds = (condition.begins, condition.ends, *condition.settles)
    last = next(iter(context.ledger.latest(1, kinds=kinds)), None)
    return last if last is not None and last.kind == condition.begins else None


def silence(context: Context) -> Trouble | None:
    """Return the trouble if no check ran for too long, counted from the first promotion at the earliest."""
    promoted = context.ledger.entries(kind="promoted")
    if not promoted:
        return None
    checks = context.checks.latest()
    since = max([promoted[0].at, *(check.checked_at for check in checks)])
    interval_s, missed = context.settings.drift.check_interval_s, context.settings.alerts.missed_checks
    allowed = max(timedelta(seconds=interval_s * missed), LEAST_SILENCE)
    quiet = context.clock.now() - since
    if quiet <= allowed:
        return None
    last = "the last check was" if checks else "there has been no check since the first promotion,"
    due = _hours(timedelta(seconds=interval_s))
    reason = f"{last} {_hours(quiet)} ago, at {since:%Y-%m-%d %H:%M} UTC; one is due every {due}"
    return Trouble(reason, evidence={"since": since.isoformat()})


def staleness(context: Context) -> Trouble | None:
    """Return the trouble if not every replica serves the champion, or no replica is alive.

    None if a setting pins replicas to a version, because they do not follow the champion, and None if no API ever ran.
    """
    if context.settings.serving.model_version != "champion":
        return None
    champion, serves = context.registry.by_alias(CHAMPION), serving_now(context)
    if champion is None or (not serves and not _was_there(context)):
        return None
    reason = missing(champion.number, serves)
    return Trouble(reason, champion.number, {"instances": serves}) if reason else None


def missing_labels(context: Context) -> Trouble | None:
    """Return the trouble if labels were missing in the last check."""
    checks = context.checks.latest()
    coverage = checks[0].report.get("coverage") if checks else None
    return Trouble(coverage["told"], evidence=coverage) if coverage and coverage["missing"] else None


def little_detected(context: Context) -> Trouble | None:
    """Return the trouble if no check of the champion would find a change in time that `drift.worth_noticing` names."""
    checks = context.checks.latest(judged=True)
    found = checks[0].report.get("detectable") if checks else None
    return Trouble(found["told"], checks[0].model_version, found) if found and found["too_large"] else None


def old_freeze(context: Context) -> Trouble | None:
    """Return the trouble if the last freeze is in force and older than `alerts.frozen_days`."""
    held = frozen_by(context.ledger)
    if held is None:
        return None
    since = context.clock.now() - held.at
    if since <= timedelta(days=context.settings.alerts.frozen_days):
        return None
    reason = f"frozen by {held.actor} {duration(since.total_seconds())} ago: {held.reason}"
    return Trouble(reason, evidence={"since": held.at.isoformat()})


def _was_there(context: Context) -> bool:
    """Return whether an API process ever sent a heartbeat, or a retraining waited for one."""
    said = [entry for kind in ("served", "not served") for entry in context.ledger.entries(kind=kind)]
    return bool(said or context.instances.serving(datetime(1970, 1, 1, tzinfo=UTC)))


def _hours(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


CONDITIONS = (
    Condition("monitor silent", "monitor checks again", silence),
    Condition("not served", "served again", staleness, settles=("served",)),
    Condition("labels missing", "labels come again", missing_labels, passing=False),
    Condition("detects too little", "detects enough", little_detected, passing=False),
    Condition("frozen long", "frozen no longer", old_freeze, settles=("frozen", "unfrozen"), passing=False),
)
