"""From verdicts to incidents; `monitor/actions.py` has what becomes of these."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from autoops.drift.verdict import DriftVerdict, judged_findings
from autoops.loop.context import Context
from autoops.loop.data.traffic_time import began_at, traffic_at
from autoops.loop.decide import policy
from autoops.loop.incidents.judged_windows import judged_windows
from autoops.loop.incidents.recent_actions import rolled_back_at
from autoops.loop.records.checks import ACTOR, JUDGED
from autoops.loop.records.kinds import POLICY_KINDS
from autoops.loop.records.ledger import Incident
from autoops.models.registry import ModelVersion
from autoops.months import parse_months


class Response(NamedTuple):
    """What was done about a verdict; `incident_id` is the incident that is new or open."""

    action: policy.Action
    incident_id: int | None
    reason: str


def respond(
    context: Context,
    champion: ModelVersion,
    verdict: DriftVerdict,
    check_id: int,
    cause: Callable[[], Mapping[str, object]] = dict,
) -> Response:
    """Act on the policy's decision about the verdict just recorded; call `cause` for a new incident only."""
    decision = decision_on(context, champion, verdict)
    if verdict.verdict not in JUDGED:
        return Response(decision.action, None, decision.reason)
    if decision.action == "nothing":
        return Response("nothing", None, decision.reason)
    if decision.action == "open incident":
        evidence = {"check_id": check_id, "verdict": verdict.to_json(), "cause": dict(cause())}
        incident_id = _open(context, champion, verdict, decision, evidence)
        return Response("open incident", incident_id, decision.reason)
    standing = _standing(context.ledger.incidents(), champion)
    kind = POLICY_KINDS[decision.action]
    context.ledger.record(kind, decision.reason, actor=ACTOR, incident_id=standing, model_version=champion.number)
    return Response(decision.action, standing if decision.action == "incident stands" else None, decision.reason)


def decision_on(
    context: Context, champion: ModelVersion, verdict: DriftVerdict, *, recorded: bool = True
) -> policy.Decision:
    """Return the policy's decision on a verdict, which counts as the newest, `recorded` or not; write nothing."""
    if verdict.verdict not in JUDGED:
        return policy.unjudged(verdict.verdict, verdict.reason)
    if not verdict.findings:
        # Without an alarm the decision needs no history, which spares the queries.
        return policy.decide([], None, None, context.settings.drift)
    windows = judged_windows(context, champion, verdict.findings)
    if not recorded and verdict.event_from and verdict.event_until:
        judged = judged_findings(verdict.to_json())
        windows = [policy.JudgedWindow(verdict.findings, verdict.event_from, verdict.event_until, judged), *windows]
    incidents = context.ledger.incidents()
    # Incidents that were opened without an alarm start no cool-down for alarms.
    past = [incident for incident in incidents if incident.kind == "drift"]
    return policy.decide(
        windows,
        _standing(incidents, champion),
        began_at(context, past[0]) if past else None,
        context.settings.drift,
        retrained_until=_retrained_until(context, champion, past),
        rolled_back_at=rolled_back_at(context),
        now=traffic_at(context, context.clock.now()),
        rows=context.contract.plural,
    )


def _standing(incidents: list[Incident], champion: ModelVersion) -> int | None:
    """Return the open drift incident of the champion; one about a replaced version does not cover the champion."""
    own = (one for one in incidents if one.kind == "drift" and one.model_version in (None, champion.number))
    return next((one.id for one in own if one.status != "closed"), None)


def _open(
    context: Context,
    champion: ModelVersion,
    verdict: DriftVerdict,
    decision: policy.Decision,
    evidence: Mapping[str, Any],
) -> int:
    return context.ledger.open_incident(
        "drift",
        f"{verdict.reason} ({decision.reason})",
        actor=ACTOR,
        model_version=champion.number,
        evidence_start=decision.evidence_start,
        evidence_end=decision.evidence_end,
        evidence=evidence,
    )


def _retrained_until(context: Context, champion: ModelVersion, past: list[Incident]) -> datetime | None:
    """Return the end of the training data of the last retraining for an incident of this champion.

    None where it failed before the gate: it used its data in vain.
    """
    own = [incident.id for incident in past if incident.model_version == champion.number]
    if not own or not context.ledger.entries(incident_id=own[0], kind="gate"):
        return None
    given = context.ledger.entries(incident_id=own[0], kind="retraining begun")[-1].evidence
    known_until = given.get("known_until")
    if known_until:
        return datetime.fromisoformat(known_until)
    return parse_months(given["months"])[-1].ends_in(context.contract.zone)
