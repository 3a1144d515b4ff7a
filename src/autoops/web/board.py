"""What the console shows, read by the functions behind `status`, `explain`, the exporter and the watchdog."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from autoops.alerts.watch import missing_labels, silence, staleness
from autoops.errors import RegistryUnavailable
from autoops.loop.context import Context
from autoops.loop.data.label_lag import duration
from autoops.loop.data.validation import INGESTED, QUARANTINED, RELEASED
from autoops.loop.incidents.freeze import frozen_by
from autoops.loop.metrics.checks import RECENT
from autoops.loop.metrics.decisions import champion_since
from autoops.loop.promote.promotion import ROLLED_BACK, last_recorded
from autoops.loop.promote.served import serving_now
from autoops.loop.records.checks import BROKEN, Check
from autoops.loop.records.ledger import PAGE, Incident
from autoops.loop.reports.explain import Explanation, explain
from autoops.loop.reports.report import summary_of, title_of
from autoops.loop.retrain.plan import BEGUN, FAILED
from autoops.models.registry import CHAMPION, PREVIOUS, ModelVersion, lost_champion, lost_champion_message
from autoops.web.steps import Step, steps_of

LISTED = 20
"""Incidents to choose from, the newest."""

PAGED = timedelta(days=1)
"""A call for a person is shown for so long."""


class State(NamedTuple):
    """The headline: `version` is the champion's number, `serving` of `instances` live API processes serve it."""

    word: str
    sentence: str
    version: int | None
    serving: int
    instances: int


class Now(NamedTuple):
    """The last figures, as checks recorded them; `until` is the event time judged, `months` what was trained on.

    Each is None where there is none yet.
    """

    errors: Mapping[str, Any] | None
    labels: Mapping[str, Any] | None
    last: Check | None
    due_at: datetime | None
    until: datetime | None
    months: str | None
    blind_to: str | None


class Why(NamedTuple):
    """What the check found that opened the incident, or, without an incident, the last judged windows."""

    title: str
    sentences: Sequence[str]
    detectors: Sequence[Mapping[str, Any]]
    features: Sequence[Mapping[str, Any]]
    segments: Sequence[Mapping[str, Any]] = ()


class Action(NamedTuple):
    """A button: `verb` is the path of its form, `fields` are hidden values in it."""

    verb: str
    label: str
    fields: Mapping[str, int | str] = {}


class Waiting(NamedTuple):
    """Something that waits for a person, and what the person may do about it."""

    title: str
    sentence: str
    actions: Sequence[Action] = ()


class Board(NamedTuple):
    """All of the page but the line; `incident` is the one that WHY, LOOP and GATE are about, None without any."""

    state: State
    now: Now
    why: Why | None
    steps: Sequence[Step]
    gate: Mapping[str, Any] | None
    waiting: Sequence[Waiting]
    actions: Sequence[Action]
    incident: Incident | None
    incidents: Sequence[Incident]


def board_of(context: Context, incident_id: int | None = None, can_retrain: bool = False) -> Board:
    """Return what the page shows; `incident_id` chooses the incident, else it is the newest open or newest one.

    Raises:
        NotFound: there is no such incident.
        StorageUnavailable: the database does not answer.
    """
    champion = previous = trouble = None
    try:
        champion, previous = context.registry.by_alias(CHAMPION), context.registry.by_alias(PREVIOUS)
    except RegistryUnavailable as error:
        trouble = f"MLflow does not answer, so that links are missing here: {error}"
    listed, unresolved = context.ledger.incidents(limit=LISTED), context.ledger.incidents(unresolved=True, limit=LISTED)
    chosen = next(iter([*unresolved, *listed]), None) if incident_id is None else context.ledger.incident(incident_id)
    judged = context.checks.latest(since=champion_since(context.ledger), judged=True, limit=RECENT)
    found = explain(context, chosen.id, linked=trouble is None) if chosen else None
    number = champion.number if champion else last_recorded(context) if trouble else None
    serves = serving_now(context)
    word, sentence = _state(context, number, unresolved, judged, trouble)
    if found and unresolved and found["incident"].id == unresolved[0].id and word.startswith("INCIDENT"):
        sentence = f"{title_of(found, context.contract)}; {unresolved[0].status.replace('_', ' ')}"
    return Board(
        state=State(word, sentence, number, sum(one == number for one in serves.values()), len(serves)),
        now=_now(context, champion, judged),
        why=_why(context, found, judged),
        steps=steps_of(found, context.settings) if found else (),
        gate=found["gate"] if found else None,
        waiting=_waiting(context, unresolved),
        actions=_actions(context, champion, previous, can_retrain),
        incident=chosen,
        incidents=listed,
    )


def _state(
    context: Context, number: int | None, unresolved: Sequence[Incident], judged: Sequence[Check], trouble: str | None
) -> tuple[str, str]:
    held = frozen_by(context.ledger)
    if held is not None:
        since = duration((context.clock.now() - held.at).total_seconds())
        return "FROZEN", f"{held.actor} stopped all automatic actions {since} ago: {held.reason}"
    if unresolved:
        return f"INCIDENT #{unresolved[0].id}", unresolved[0].reason
    if number is None and trouble is None:
        lost = lost_champion(context.registry)
        return ("WATCH", lost_champion_message(lost)) if lost else ("NO MODEL YET", "No model has been trained yet.")
    last = context.checks.latest()
    watched = (found.reason for look in (silence, staleness, missing_labels) if (found := look(context)))
    worry = trouble or next(watched, None) or (last[0].reason if last and last[0].verdict == BROKEN else None)
    if worry:
        return "WATCH", worry
    if judged and judged[0].alarm:
        return "WATCH", f"the last judged window alarmed: {judged[0].reason}"
    told = "Nothing is out of the ordinary" if judged else f"No window has been judged since version {number} took over"
    return "HEALTHY", f"{told}."


def _now(context: Context, champion: ModelVersion | None, judged: Sequence[Check]) -> Now:
    last = next(iter(context.checks.latest()), None)
    months = (champion.tags.get("training_months") or "unknown").split(",") if champion else []
    return Now(
        errors=_newest([check.report for check in judged], "errors") or None,
        labels=_newest([check.report for check in ([last] if last else []) + list(judged)], "labels") or None,
        last=last,
        due_at=last.checked_at + timedelta(seconds=context.settings.drift.check_interval_s) if last else None,
        until=next((check.event_until for check in judged if check.event_until), None),
        months=" to ".join(dict.fromkeys((months[0], months[-1]))) if months else None,
        blind_to=champion.tags.get("blind_to") if champion else None,
    )


def _why(context: Context, found: Explanation | None, judged: Sequence[Check]) -> Why | None:
    reports = [check.report for check in judged]
    if found is None or (found["verdict"] is None and found["incident"].status == "closed"):
        title = "The last window alarmed" if judged and judged[0].alarm else "Nothing is out of the ordinary"
        return Why(title, [judged[0].reason], _detectors(reports), _newest(reports, "features")) if judged else None
    incident, summary = found["incident"], summary_of(found, context.contract)
    if verdict := found["verdict"]:
        reports = [verdict]
    error = (found["cause"] or {}).get("error") or {}
    title = f"Incident #{incident.id}, {incident.status.replace('_', ' ')}: {title_of(found, context.contract)}"
    return Why(
        title, [incident.reason, *summary], _detectors(reports), _newest(reports, "features"), error.get("groups", ())
    )


def _detectors(reports: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what each detector found in the newest window that it judged."""
    return list({one["name"]: one for report in reversed(reports) for one in report.get("detectors", ())}.values())


def _newest(reports: Sequence[Mapping[str, Any]], part: str) -> Any:
    return next((report[part] for report in reports if report.get(part)), ())


def _waiting(context: Context, unresolved: Sequence[Incident]) -> list[Waiting]:
    waiting = []
    for incident in unresolved:
        fields = {"incident": incident.id}
        last = context.ledger.latest(1, incident_id=incident.id)
        run = context.ledger.latest(1, kinds=(*BEGUN, FAILED), incident_id=incident.id)
        actions = [Action("close", f"Close incident {incident.id}", fields)]
        title = f"Incident {incident.id} is {incident.status.replace('_', ' ')}: the loop goes on by itself"
        if incident.status == "waiting_for_approval":
            title = f"Incident {incident.id} waits for approval"
            actions.insert(0, Action("approve", "Approve the promotion", fields))
        elif run and run[0].kind == FAILED:
            title, last = f"The retraining for incident {incident.id} failed", run
        waiting.append(Waiting(title, last[0].reason if last else incident.reason, actions))
    for month, reason in _quarantined(context).items():
        waiting.append(
            Waiting(f"{month} is quarantined", reason, [Action("release", f"Release {month}", {"month": month})])
        )
    now, paged = context.clock.now(), context.ledger.latest(3, kinds=(PAGE,))
    return waiting + [Waiting("A person was called", one.reason) for one in paged if now - one.at < PAGED]


def _quarantined(context: Context) -> dict[str, str]:
    """Return why by month, for those of the newest months whose last content is quarantined and may be released."""
    state: dict[str, str] = {}
    for entry in reversed(context.ledger.latest(200, kinds=(QUARANTINED, RELEASED, INGESTED))):
        month = str(entry.evidence.get("month", ""))
        # Another content of a month is recorded as ingested before it is judged.
        state.pop(month, None)
        if entry.kind == QUARANTINED and entry.evidence.get("ingested", True):
            state[month] = entry.reason
    return state


def _actions(
    context: Context, champion: ModelVersion | None, previous: ModelVersion | None, can_retrain: bool
) -> list[Action]:
    """Return what a person may do at any time."""
    actions = [Action("unfreeze", "Unfreeze") if frozen_by(context.ledger) else Action("freeze", "Freeze")]
    if can_retrain:
        actions.append(Action("retrain", "Retrain now"))
    if champion and previous and previous.number != champion.number and ROLLED_BACK not in previous.tags:
        actions.append(Action("roll-back", f"Roll back to version {previous.number}", {"expected": champion.number}))
    return actions
