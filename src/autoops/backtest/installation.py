"""An installation of Auto-Ops for one simulation: production's adapters, with the simulation's clock and months."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from autoops.backtest.challengers import Challengers
from autoops.backtest.published import MovedClock, PublishedSoFar
from autoops.backtest.registry import LocalRegistry
from autoops.errors import Conflict, DataError
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import Source
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.loop.retrain import retraining
from autoops.loop.retrain.retraining import GateRecord, Plan
from autoops.months import Month
from autoops.settings import Settings, Storage
from autoops.storage import database
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog

ACTOR = "backtest"
Judge = Callable[[Context, Plan, int], GateRecord]


@dataclass(frozen=True)
class Retraining:
    """A retraining and its outcome.

    `decision` is the gate's, or "failed". `kind`, `evidence_start` and `evidence_end` (event times) are those of the
    incident, if any. `detected` says that the policy noticed a change by itself. An interim re-evaluation trains
    nothing. `kept_cpu_s` are the CPU seconds of a training that another simulation paid for.
    """

    at: str
    months: list[str]
    decision: str
    promoted: bool
    reason: str
    version: int | None = None
    kind: str = "manual"
    detected: bool = False
    evidence_start: str | None = None
    evidence_end: str | None = None
    kept_cpu_s: float = 0.0


@dataclass
class Installation:
    """One simulation's installation: production's context, with a clock and a source that the simulation controls."""

    context: Context
    clock: MovedClock
    source: PublishedSoFar
    registry: LocalRegistry
    challengers: Challengers
    _runs: Iterator[int] = field(default_factory=count)

    def retrain(
        self,
        *,
        reason: str,
        incident_id: int | None = None,
        force: bool = False,
        detected: bool = False,
        judge: Judge = retraining.gate,
    ) -> Retraining:
        """Run the steps of the retrain DAG one after the other, and return the outcome.

        `judge` gives the verdict on the challenger, by default the gate's. The outcome is "failed" where the data
        cannot be used, or the run cannot begin because of a conflict.
        """
        context, at, run_id = self.context, self.clock.now().isoformat(), f"backtest-{next(self._runs)}"
        kind = "manual" if incident_id is None else context.ledger.incident(incident_id).kind
        try:
            plan = retraining.begin(context, run_id, incident_id=incident_id, reason=reason, force=force, actor=ACTOR)
        except (DataError, Conflict) as error:  # as in the DAG: no usable month, or nothing left to decide
            return Retraining(at, [], "failed", False, str(error), kind=kind, detected=detected)
        incident = context.ledger.incident(plan["incident_id"])
        begun = Retraining(
            at,
            plan["months"],
            "failed",
            False,
            "",
            kind=kind,
            detected=detected,
            evidence_start=plan["evidence_start"],
            evidence_end=incident.evidence_end.isoformat() if incident.evidence_end else None,
        )
        try:
            with retraining.failures_recorded(context, plan):
                return self._run(plan, judge, begun)
        except DataError as error:
            return replace(begun, reason=str(error))

    def _run(self, plan: Plan, judge: Judge, begun: Retraining) -> Retraining:
        retraining.ingest(self.context, plan)
        retraining.validate(self.context, plan)
        version, kept_cpu_s = self.challengers.train(self.context, self.registry, plan)
        verdict = judge(self.context, plan, version)
        promotion = retraining.promote(self.context, plan, version, verdict)
        retraining.close(self.context, plan, promotion)
        return replace(
            begun,
            decision=verdict["decision"],
            promoted=promotion["promoted"],
            reason=promotion["reason"],
            version=version,
            kept_cpu_s=kept_cpu_s,
        )


@contextmanager
def installed(
    settings: Settings, home: Path, whole: Source, first: Month, until: Month, challengers: Challengers
) -> Iterator[Installation]:
    """Yield an installation in an empty home, which is removed when the block ends.

    The months from `first` to `until` are published at the start.
    """
    shutil.rmtree(home, ignore_errors=True)
    # Without storage.url: each simulation has a SQLite file, whatever database production uses.
    settings = settings.model_copy(update={"storage": Storage(home=home)})
    clock, source = MovedClock(until.ends_in(settings.contract.zone)), PublishedSoFar(whole, first, until)
    registry = LocalRegistry(home / "registry")
    engine = database.connect(settings)
    database.upgrade(engine)
    context = Context(
        settings=settings,
        clock=clock,
        source=source,
        store=MonthStore(home / "months", cleaner_of(settings.contract)),
        registry=registry,
        log=PredictionLog(engine),
        instances=Instances(engine),
        ledger=Ledger(engine, clock),
        checks=CheckLog(engine, clock),
        # Nobody sees them: the home is removed at the end.
        draws_pages=False,
    )
    try:
        yield Installation(context, clock, source, registry, challengers)
    finally:
        engine.dispose()
        shutil.rmtree(home, ignore_errors=True)
