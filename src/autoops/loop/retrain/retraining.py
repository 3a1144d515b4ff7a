"""Retraining, step by step: what each task of the `retrain` DAG runs, and `autoops retrain` in one go.

Steps take and return small values as JSON. The same run may repeat each step: completed work is found in the records.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, NotRequired, TypedDict, cast

from autoops.errors import AutoOpsError, ServiceUnavailable
from autoops.loop.context import Context
from autoops.loop.data import validation
from autoops.loop.decide.gate import VerdictRecord
from autoops.loop.decide.reevaluation import MOST_RE_EVALUATIONS
from autoops.loop.incidents.freeze import frozen
from autoops.loop.promote.no_champion import require_none_lost
from autoops.loop.promote.promotion import GATE_DECISION, ROLLED_BACK, described, promote_version
from autoops.loop.promote.served import missing, serving_now
from autoops.loop.records.ledger import Status
from autoops.loop.retrain import comparison, steps
from autoops.loop.retrain.candidates import train_challenger
from autoops.loop.retrain.plan import ACTION as ACTION
from autoops.loop.retrain.plan import FAILED, Run
from autoops.loop.retrain.plan import Plan as Plan
from autoops.loop.retrain.plan import begin as begin
from autoops.loop.retrain.steps import step
from autoops.loop.retrain.training_window import Months
from autoops.models.registry import CHALLENGER, CHAMPION
from autoops.months import parse_months
from autoops.redaction import redact

logger = logging.getLogger(__name__)

RUN_TAG = "retrain_run"
WAITING: Status = "waiting_for_approval"


class MonthResult(TypedDict):
    """The result of ingesting a published month."""

    rows: int
    status: str


class GateRecord(VerdictRecord):
    """The verdict, with the versions and months that were compared; `champion` is None for a first version.

    `challengers_before` is the number of other challengers that this champion met on days up to the same month.
    """

    champion: int | None
    challenger: int
    months: list[str]
    logged: list[str]
    look: int
    challengers_before: int


class Promotion(TypedDict):
    """Whether the alias moved, and why; `waiting` is True where a person has to approve first."""

    promoted: bool
    version: int
    reason: str
    waiting: NotRequired[bool]


class Serving(TypedDict):
    """How many live API instances serve the version."""

    instances: int
    model_version: int


class Closed(TypedDict):
    """The outcome of the incident."""

    incident_id: int
    outcome: str


@step
def ingest(context: Context, plan: Plan) -> dict[str, MonthResult]:
    """Fetch and clean the plan's published months; return rows and status by month."""
    ingested = [context.store.ingest(context.source, month) for month in _months(plan).published]
    return {str(month.month): {"rows": month.rows, "status": month.status} for month in ingested}


@step
def validate(context: Context, plan: Plan) -> validation.KeptShares:
    """Require that no published month of the plan is quarantined.

    Broken data in the log needs no check here: its rows are never loaded.

    Raises:
        BrokenData: some are; the message names their findings.
    """
    return validation.validate(context, _months(plan).published, plan["actor"], plan["incident_id"])


@step
def train(context: Context, plan: Plan) -> int:
    """Train, calibrate and register a challenger; return its version number.

    A version that this run has registered before is returned again. In an interim re-evaluation, it is the challenger
    that waits.
    """
    waiting = plan["challenger"]
    if waiting is not None:
        return context.registry.version(waiting).number
    for known in context.registry.versions():
        if known.tags.get(RUN_TAG) == plan["run_id"]:
            steps.complete(context, plan, known)
            return known.number
    # A run that releases before 0.2 began has it as `holds_from`: its tasks may go on after an upgrade.
    begins = plan.get("evidence_start") or cast(Mapping[str, str | None], plan).get("holds_from")
    evidence_start = datetime.fromisoformat(begins) if begins else None
    version, made = train_challenger(context, _months(plan), evidence_start, tags_of(plan))
    steps.record(context, plan, version, made.window_choice, made.metrics)
    return version.number


def tags_of(plan: Plan) -> dict[str, str]:
    """Return the tags that say why a version was trained."""
    about = {"trigger": plan["trigger"], "reason": plan.get("reason", ""), "incident": str(plan["incident_id"])}
    return about | {RUN_TAG: plan["run_id"]}


def candidate(context: Context, plan: Plan) -> int:
    """Ingest, validate and train in one go, for a run without a scheduler."""
    ingest(context, plan)
    validate(context, plan)
    return train(context, plan)


@step
def gate(context: Context, plan: Plan, version: int) -> GateRecord:
    """Compare the challenger with the champion, or a first version with the median of what it was fitted on.

    The verdict goes to the ledger and into MLflow. A repeat returns the recorded verdict.
    """
    for entry in context.ledger.entries(incident_id=plan["incident_id"], kind="gate"):
        if entry.model_version == version:
            return cast(GateRecord, dict(entry.evidence))
    challenger = context.registry.version(version)
    champion, look = context.registry.by_alias(CHAMPION), plan.get("look", 1)
    if champion is None:
        require_none_lost(context)
    before = _challengers_before(context, plan, version, champion.number) if champion else 0
    verdict = (
        comparison.with_baseline(context, challenger)
        if champion is None
        else comparison.with_champion(context, champion, challenger, _months(plan), look + before)
    )
    content: GateRecord = {
        **verdict.to_json(),
        "champion": champion.number if champion else None,
        "challenger": version,
        "months": plan["months"],
        "logged": plan.get("logged", []),
        "look": look,
        "challengers_before": before,
    }
    # The ledger comes last: a retry that finds no entry there repeats all of it.
    context.registry.log_verdict(version, "gate" if look == 1 else f"gate-look-{look}", content)
    context.registry.tag(version, {GATE_DECISION: verdict.decision})
    _tell(context, plan, content)
    context.ledger.record(
        "gate",
        f"{verdict.decision}: {verdict.reason}",
        actor=plan["actor"],
        incident_id=plan["incident_id"],
        model_version=version,
        evidence=content,
    )
    return content


def _challengers_before(context: Context, plan: Plan, version: int, champion: int) -> int:
    """Return how many other challengers the gate compared with the champion on days up to the plan's newest month.

    These are nearly the same unseen rows, on which the best of many would win by chance.
    """
    return len(
        {
            entry.model_version
            for entry in context.ledger.entries(kind="gate")
            if entry.model_version != version
            and entry.evidence.get("champion") == champion
            and entry.evidence.get("months", [])[-1:] == plan["months"][-1:]
        }
    )


def _tell(context: Context, plan: Plan, verdict: GateRecord) -> None:
    """Show the gate's figures in the training runs of both versions under one name: they are of the same rows."""
    version, champion = verdict["challenger"], verdict["champion"]
    own = {"gate_loss": verdict["challenger_mae"], "gate_difference": verdict["difference"]}
    own |= {"gate_low": verdict["low"], "gate_high": verdict["high"]}
    context.registry.log_figures(version, {name: figure for name, figure in own.items() if figure is not None}, version)
    if champion is not None and verdict["champion_mae"] is not None:
        context.registry.log_figures(champion, {"gate_loss": verdict["champion_mae"]}, version)
    context.registry.describe(
        version, described(f"Gate: {verdict['decision']}", verdict["reason"], plan["incident_id"])
    )
    if verdict["decision"] == "reject":
        context.registry.take_alias(CHALLENGER, version)


@step
def promote(context: Context, plan: Plan, version: int, verdict: GateRecord) -> Promotion:
    """Move the alias where the gate or `force` says so; a version that was rolled back is not promoted again.

    Where a person has to approve first, the incident waits for that.
    """
    if ROLLED_BACK in context.registry.version(version).tags:
        return {"promoted": False, "version": version, "reason": f"version {version} was rolled back before"}
    if verdict["decision"] != "promote" and not plan["force"]:
        reason = f"{verdict['decision']}: {verdict['reason']}{_condition(verdict)}"
        return {"promoted": False, "version": version, "reason": reason}
    closed = _closed_meanwhile(context, plan, version)
    if closed is not None:
        return {"promoted": False, "version": version, "reason": closed}
    reason = verdict["reason"] if verdict["decision"] == "promote" else f"forced although {verdict['reason']}"
    held = _held(context, plan, verdict)
    if held is not None:
        reason = f"version {version} waits for approval ({held}): {reason}"
        context.ledger.set_status(plan["incident_id"], WAITING, reason, actor=plan["actor"])
        return {"promoted": False, "waiting": True, "version": version, "reason": reason}
    # One run promotes for an incident: any other gets Conflict here.
    context.ledger.claim(plan["incident_id"], "promote", plan["run_id"])
    promote_version(
        context,
        version,
        reason=reason,
        actor=plan["actor"],
        incident_id=plan["incident_id"],
        replaces=verdict["champion"],
    )
    return {"promoted": True, "version": version, "reason": reason}


def _closed_meanwhile(context: Context, plan: Plan, version: int) -> str | None:
    """Return why to stop if the incident was closed meanwhile; None if it is open or already promoted (a retry)."""
    incident, champion = context.ledger.incident(plan["incident_id"]), context.registry.by_alias(CHAMPION)
    if incident.status != "closed" or (champion is not None and champion.number == version):
        return None
    return f"incident {incident.id} was closed meanwhile: {incident.outcome}"


def _condition(verdict: GateRecord) -> str:
    """Return what would settle an inconclusive verdict, and whether an interim re-evaluation follows, as text."""
    if not verdict.get("settled_by"):
        return ""
    if verdict.get("look", 1) > MOST_RE_EVALUATIONS:
        return f"; settled by {verdict['settled_by']}, but this was the last look"
    later = ", and looked at again when they are published" if verdict.get("days_needed") else ""
    return f"; settled by {verdict['settled_by']}{later}"


def _held(context: Context, plan: Plan, verdict: GateRecord) -> str | None:
    """Return why a person has to approve first; None where no approval is needed.

    A first version replaces nothing, and `force` is a person's decision.
    """
    if plan["force"] or verdict["champion"] is None:
        return None
    if context.settings.training.approval:
        return "training.approval is on"
    # A freeze holds up what happens without a person; a run by hand goes on.
    held = frozen(context)
    return held.reason if held and plan["automatic"] else None


@step
def confirm(context: Context, run: Run, version: int, timeout_s: float = 120) -> Serving:
    """Wait until every live API instance serves the version.

    Raises:
        ServiceUnavailable: after `timeout_s` one does not, or none is alive; the message says which.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        serves = serving_now(context)
        reason = missing(version, serves)
        if reason is None:
            reason = f"{len(serves)} instance{' serves' if len(serves) == 1 else 's serve'} version {version}"
            _record_serving(context, run, version, "served", reason, serves)
            return {"instances": len(serves), "model_version": version}
        if time.monotonic() > deadline:
            _record_serving(context, run, version, "not served", reason, serves)
            raise ServiceUnavailable(reason)
        time.sleep(0.5)


def _record_serving(
    context: Context,
    run: Run,
    version: int,
    kind: Literal["served", "not served"],
    reason: str,
    serves: Mapping[str, int | None],
) -> None:
    context.ledger.record(
        kind,
        reason,
        actor=run["actor"],
        incident_id=run["incident_id"],
        model_version=version,
        evidence={"instances": serves},
    )


@step
def close(context: Context, run: Run, promotion: Promotion) -> Closed:
    """Close the incident with its outcome; leave one that waits for approval."""
    if promotion.get("waiting"):
        return {"incident_id": run["incident_id"], "outcome": promotion["reason"]}
    verb = "promoted" if promotion["promoted"] else "not promoted"
    outcome = f"version {promotion['version']} {verb}: {promotion['reason']}"
    context.ledger.close(run["incident_id"], outcome, actor=run["actor"])
    return {"incident_id": run["incident_id"], "outcome": outcome}


def record_failure(context: Context, incident_id: int, run_id: str, what: str, actor: str = "airflow") -> None:
    """Record that the run failed; the incident stays open, and the entry says what a person can do about it."""
    next_step = (
        f'autoops retrain --incident {incident_id} takes it up, autoops close {incident_id} --reason "..." ends it'
    )
    reason = f"run {run_id} failed at {what}; the incident stays open: {next_step}"
    context.ledger.record(FAILED, reason, actor=actor, incident_id=incident_id, evidence={"run_id": run_id})


@contextmanager
def failures_recorded(context: Context, run: Run) -> Iterator[None]:
    """Record in the ledger what ends a run without a scheduler, and raise it again.

    Otherwise no person could take over the incident that the run has claimed.

    Raises:
        Exception: what ended the run.
        KeyboardInterrupt: a person interrupted the run.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        # A library's message may quote a URL with its password; AutoOpsError redacts its own.
        told = str(error) if isinstance(error, AutoOpsError) else redact(f"{type(error).__name__} {error}".strip())
        record_failure(context, run["incident_id"], run["run_id"], told, run["actor"])
        raise


def _months(plan: Plan) -> Months:
    logged = plan.get("logged")
    return Months(parse_months(plan["months"]), parse_months(logged) if logged else [])
