"""The state of the model and the loop, on one screen."""

from collections.abc import Mapping
from typing import Any, TypedDict

from autoops.loop.context import Context
from autoops.loop.data.label_lag import duration
from autoops.loop.decide.gate import unit_of
from autoops.loop.incidents.freeze import frozen_by
from autoops.loop.promote.served import serving_now
from autoops.loop.records.checks import BROKEN, JUDGED
from autoops.loop.retrain import scheduled
from autoops.models.registry import CHAMPION, ModelVersion, lost_champion, lost_champion_message
from autoops.storage.predictions import LIVE, LogSelection


class Champion(TypedDict):
    """The current champion.

    `blind_to` names what its drift checks would not notice, `detectable` what they would, `next_scheduled` says when
    and why it is compared with a challenger of newer months without an alarm.
    """

    version: int
    trained_until: str
    training_months: str | None
    live_predictions: int
    blind_to: str | None
    detectable: str | None
    next_scheduled: str | None


class LastCheck(TypedDict):
    """The result of the last check."""

    checked_at: str
    model_version: int
    verdict: str
    reason: str


class OpenIncident(TypedDict):
    """An incident that is not closed, with the reason of its latest entry."""

    id: int
    status: str
    kind: str
    reason: str
    latest: str


class Overview(TypedDict):
    """The state of the model and the loop.

    `lost` says what to do where the alias is gone, `frozen` who froze the loop; `coverage` and `labels` are as the
    check recorded them.
    """

    champion: Champion | None
    lost: str | None
    instances: Mapping[str, int | None]
    last_check: LastCheck | None
    coverage: Mapping[str, Any] | None
    frozen: str | None
    labels: Mapping[str, Any] | None
    strays: int
    incidents: list[OpenIncident]


def overview(context: Context) -> Overview:
    """Return champion, live instances, last check, label lag of the last judged window, and open incidents."""
    champion = context.registry.by_alias(CHAMPION)
    checks = context.checks.latest(limit=1)
    telling = context.checks.latest(verdicts=(*JUDGED, BROKEN))
    return {
        "champion": None
        if champion is None
        else {
            "version": champion.number,
            "trained_until": champion.trained_until.isoformat(),
            "training_months": champion.tags.get("training_months"),
            "blind_to": champion.tags.get("blind_to") or None,
            "detectable": champion.tags.get("detectable") or None,
            "next_scheduled": _next_scheduled(context, champion),
            "live_predictions": context.log.count(LogSelection(champion.number, LIVE)),
        },
        "lost": lost_champion_message(lost) if champion is None and (lost := lost_champion(context.registry)) else None,
        "instances": serving_now(context),
        "last_check": None
        if not checks
        else {
            "checked_at": checks[0].checked_at.isoformat(),
            "model_version": checks[0].model_version,
            "verdict": checks[0].verdict,
            "reason": checks[0].reason,
        },
        "coverage": checks[0].report.get("coverage") if checks else None,
        "frozen": _frozen(context),
        "labels": telling[0].report.get("labels") if telling else None,
        "strays": telling[0].report.get("strays", 0) if telling else 0,
        "incidents": [
            {
                "id": incident.id,
                "status": incident.status,
                "kind": incident.kind,
                "reason": incident.reason,
                "latest": context.ledger.entries(incident_id=incident.id)[-1].reason,
            }
            for incident in context.ledger.incidents(unresolved=True)
        ],
    }


def _next_scheduled(context: Context, champion: ModelVersion) -> str | None:
    due = scheduled.next_due(context, champion)
    worth, unit = scheduled.worth_of_recent(context), unit_of(context.contract)
    told = (
        ""
        if worth is None
        else (
            f"; the last {worth.retrainings} with a known cost took {worth.cpu_seconds:.0f} CPU seconds and saved "
            f"{worth.per_cpu_second:.3g}{unit.of_loss} for each"
        )
    )
    return None if due is None else f"the next scheduled retraining is due with {due.month}, {due.reason}{told}"


def _frozen(context: Context) -> str | None:
    held = frozen_by(context.ledger)
    if held is None:
        return None
    since = duration((context.clock.now() - held.at).total_seconds())
    return f"by {held.actor} {since} ago: {held.reason} (autoops unfreeze lets the loop act)"


def sentences(state: Overview, noun: str = "rows") -> list[str]:
    """Return the overview as lines of text; `noun` is that for rows."""
    champion, check = state["champion"], state["last_check"]
    lines = []
    if champion is None and state["lost"]:
        lines.append(f"model      {state['lost']}")
    elif champion is None:
        lines.append("model      no champion yet: trigger `retrain` in Airflow, or run autoops retrain")
    else:
        lines.append(
            f"model      version {champion['version']}, trained on {champion['training_months']}, "
            f"{champion['live_predictions']} live predictions logged"
        )
    if champion and champion["blind_to"]:
        lines.append(f"blind      drift checks would not notice {champion['blind_to']}: see training.window_months")
    if champion and champion["detectable"]:
        lines.append(f"detects    {champion['detectable']}")
    if champion and champion["next_scheduled"]:
        lines.append(f"schedule   {champion['next_scheduled']}")
    serving = [
        f"{name} serves {'no version yet' if version is None else f'version {version}'}"
        for name, version in state["instances"].items()
    ]
    lines.append("instances  " + ("; ".join(serving) or "none gave a sign of life in the last seconds"))
    lines.append("last check " + (f"{check['verdict']}: {check['reason']}" if check else "none yet"))
    if state["labels"]:
        lines.append(f"labels     {state['labels']['told']}")
    if state["strays"]:
        lines.append(f"times      {state['strays']} {noun} of the last window are of another time: a client's clock?")
    if state["coverage"]:
        lines.append(f"coverage   {state['coverage']['told']}")
    if state["frozen"]:
        lines.append(f"frozen     {state['frozen']}")
    for incident in state["incidents"]:
        lines.append(f"incident {incident['id']} ({incident['status'].replace('_', ' ')}): {incident['reason']}")
        lines.append(f"           last: {incident['latest']}")
    if not state["incidents"]:
        lines.append("incidents  none open")
    return lines
