"""The demo's view of what the scheduled DAGs record. The demo only reads; Airflow acts."""

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.loop.monitor.actions import BEGUN_BY_ITSELF
from autoops.loop.records.checks import BROKEN, JUDGED, Check, CheckLog
from autoops.loop.records.ledger import Entry, Incident, Ledger
from autoops.months import Month
from autoops.usecase.contract import Contract

TELLING = (*JUDGED, BROKEN)
"""Verdicts of checks that had enough data to judge."""


class Observer:
    """A reader of the ledger and of the log of checks, with the position up to which each was returned as new."""

    def __init__(self, engine: sa.Engine, contract: Contract) -> None:
        self._contract = contract
        self._ledger = Ledger(engine, SystemClock())
        self._checks = CheckLog(engine, SystemClock())
        self._entries_seen = 0
        self._checks_seen = 0

    def news(self) -> list[Entry]:
        """Return the ledger entries since the last call."""
        found = [entry for entry in self._ledger.entries() if entry.id > self._entries_seen]
        self._entries_seen = max((entry.id for entry in found), default=self._entries_seen)
        return found

    def new_checks(self) -> list[Check]:
        """Return the checks since the last call that had enough data to judge, oldest first."""
        # Twenty are more than are new: the demo checks every 10 s, and the story polls every 0.4 s.
        found = [check for check in _telling(self._checks.latest(limit=20)) if check.id > self._checks_seen]
        self._checks_seen = max((check.id for check in found), default=self._checks_seen)
        return found[::-1]

    def checks(self) -> list[Check]:
        """Return all checks that had enough data to judge, oldest first."""
        return _telling(self._checks.latest(limit=None))[::-1]

    def entries(self) -> list[Entry]:
        """Return all entries of the ledger, oldest first; `news` is not affected."""
        return self._ledger.entries()

    def incidents(self) -> list[Incident]:
        """Return the incidents, oldest first."""
        return self._ledger.incidents()[::-1]

    def retraining_is_due(self, published: Sequence[Month]) -> bool:
        """Return whether an incident that the loop opened is unresolved and its evidence is published and counts.

        A retraining runs then, or the next check starts one.
        """
        until = max(month.ends_in(self._contract.zone) for month in published)
        until -= self._contract.target.matures_after or timedelta(0)
        incidents = self._ledger.incidents(unresolved=True)
        standing = [incident for incident in incidents if incident.kind in BEGUN_BY_ITSELF]
        return any(incident.evidence_end is None or incident.evidence_end < until for incident in standing)


def _telling(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.verdict in TELLING]


def settles(check: Check) -> bool:
    """Return whether a check judged labels, too, or need not wait for them because the data is broken."""
    return check.verdict == BROKEN or any(found["name"] == "loss" for found in check.report.get("detectors", ()))
