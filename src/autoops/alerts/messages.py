"""The text of an alert: what happened, why, what was done about it and what the reader may do. Pure functions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from autoops.loop.records.kinds import EntryKind
from autoops.settings.types import AlertEvent

if TYPE_CHECKING:
    from autoops.loop.records.ledger import Entry, Incident

Urgency = Literal["info", "success", "warning", "failure"]
"""Apprise's names of the types of a notification."""

LONGEST_EVIDENCE = 300
"""Characters. With it, a whole alert fits into the 1,024 that PagerDuty accepts."""


@dataclass(frozen=True)
class Message:
    """Text of an alert, with its event, by which the settings select alerts, and its urgency."""

    event: AlertEvent | Literal["test"]
    urgency: Urgency
    title: str
    body: str


@dataclass(frozen=True)
class Facts:
    """A ledger entry and what its text depends on.

    `report` is a URL. If `forced`, the retraining promotes its version whatever the gate decides.
    """

    entry: "Entry"
    incident: "Incident | None"
    model: str
    report: str | None = None
    forced: bool = False


class Wording(NamedTuple):
    """Parts of an alert's text: what happened, what the loop has done about it, what the reader may do."""

    event: AlertEvent
    urgency: Urgency
    happened: str
    done: str
    may: str


def message(facts: Facts) -> Message | None:
    """Return the alert of an entry, None for an entry that needs none."""
    told = WORDS[facts.entry.kind](facts) if facts.entry.kind in WORDS else None
    if told is None:
        return None
    lines = [
        f"Evidence: {one_line(facts.entry.reason)}",
        f"Done: {told.done}",
        f"You may: {told.may}",
        f"When and by whom: {facts.entry.at:%Y-%m-%d %H:%M:%S} UTC, {facts.entry.actor}",
    ]
    if facts.report:
        lines.append(f"Report: {facts.report}")
    return Message(told.event, told.urgency, f"{facts.model}: {told.happened}", "\n".join(lines))


def trial(model: str) -> Message:
    """Return a test message that asks for no action; `model` is the name of the registered model."""
    return Message("test", "info", f"{model}: a test", "Auto-Ops can reach you here. There is nothing to do.")


def one_line(text: str) -> str:
    """Return the text as one shortened line, without the userinfo of URLs, which may hold a password."""
    line = re.sub(r"://[^/\s@]+@", "://", " ".join(text.split()))
    return line if len(line) <= LONGEST_EVIDENCE else f"{line[: LONGEST_EVIDENCE - 1]}…"


def _opened(facts: Facts) -> Wording | None:
    """Return None for an incident that a person opened, who knows of it."""
    incident = facts.incident
    if incident is None or incident.kind not in _ANSWERS:
        return None
    return Wording(
        "incident_opened",
        "warning",
        f"incident {incident.id} was opened ({incident.kind}{_of(incident.model_version)})",
        f"{_ANSWERS[incident.kind]} Until then the champion goes on serving.",
        f'autoops explain {incident.id} shows it; autoops freeze --reason "..." keeps the loop from acting; '
        f'autoops close {incident.id} --reason "..." ends it.',
    )


def _of(version: int | None) -> str:
    return "" if version is None else f", version {version}"


_ANSWERS = {
    "drift": "A challenger is trained as soon as there is data with the evidence in it; the gate decides about it.",
    "re-evaluation": "The challenger that waits is compared with the champion once more, on newer data.",
    "scheduled": "A challenger of the newest months is trained; the gate decides about it.",
}


def _promoted(facts: Facts) -> Wording:
    number, replaced = facts.entry.model_version, facts.entry.evidence.get("replaces")
    place = f", in place of version {replaced}" if replaced is not None else ""
    back = f'autoops rollback --reason "..." puts version {replaced} back.' if replaced is not None else "nothing."
    done = "The API takes it over without losing a request, and its predictions are watched from now on."
    if facts.entry.evidence.get("outside"):
        urgency: Urgency = "failure" if facts.entry.evidence.get("doubts") else "warning"
        return Wording("promoted", urgency, f"somebody made version {number} champion in MLflow{place}", done, back)
    return Wording("promoted", "success", f"version {number} is champion now{place}", done, back)


def _rejected(facts: Facts) -> Wording | None:
    number, champion = facts.entry.model_version, facts.entry.evidence.get("champion")
    # The promotion has an alert of its own; a forced version is promoted whatever the gate decides.
    if facts.entry.evidence.get("decision") == "promote" or facts.forced:
        return None
    stays = f"Version {champion} stays champion." if champion is not None else "There is no champion yet."
    return Wording(
        "rejected",
        "info",
        f"the gate did not let version {number} in",
        stays,
        f'autoops explain {facts.entry.incident_id} shows why; autoops promote {number} --reason "..." overrules it.',
    )


def _rolled_back(facts: Facts) -> Wording:
    left, restored = facts.entry.model_version, facts.entry.evidence.get("restored")
    return Wording(
        "rolled_back",
        "failure",
        f"version {left} was rolled back, version {restored} is champion again",
        f"Version {left} is marked, is not promoted again by itself, and its incidents are closed.",
        f'autoops status shows the present state; autoops promote {left} --reason "..." if this was wrong.',
    )


def _quarantined(facts: Facts) -> Wording:
    month = facts.entry.evidence.get("month", "a month")
    may = f'autoops release {month} --reason "..." if what it says is true.'
    if not facts.entry.evidence.get("ingested", True):
        may = "correct the file at the source: nothing of it could be read, so that there is nothing to release."
    return Wording(
        "quarantined",
        "warning",
        f"{month} is quarantined: its data is broken",
        "The month is neither judged nor trained on. A corrected file is judged anew.",
        may,
    )


def _page(facts: Facts) -> Wording | None:
    """Return None for an entry that only repeats another, which had its alert."""
    if facts.entry.evidence.get("repeats"):
        return None
    number = facts.entry.incident_id
    if number is None and "findings" not in facts.entry.evidence:
        return Wording(
            "page", "failure", "somebody is needed", "See the evidence.", "autoops status shows how things are."
        )
    if number is None:
        return Wording(
            "quarantined",
            "failure",
            "live traffic is broken data",
            "Its rows are kept from training and open no incident; the API goes on answering.",
            "look at what the clients send; autoops status shows what the next check says of it.",
        )
    return Wording(
        "page",
        "failure",
        f"incident {number} needs a person",
        "Nothing is retrained for it by itself while that holds.",
        f"autoops explain {number} shows it; autoops retrain --incident {number} takes it up; "
        f'autoops close {number} --reason "..." ends it.',
    )


def _failed(facts: Facts) -> Wording:
    number = facts.entry.incident_id
    return Wording(
        "retraining_failed",
        "failure",
        f"a retraining for incident {number} failed",
        "The incident stays open, and the champion goes on serving.",
        f'autoops retrain --incident {number} takes it up; autoops close {number} --reason "..." ends it.',
    )


def _waits(facts: Facts) -> Wording | None:
    """Return None if the incident no longer waits: a person may have answered already."""
    number = facts.entry.incident_id
    if facts.incident is None or facts.incident.status != "waiting_for_approval":
        return None
    return Wording(
        "waiting_for_approval",
        "warning",
        f"incident {number} waits for your approval",
        "Nothing is promoted before somebody says yes.",
        f'autoops explain {number} shows the comparison; autoops approve {number} --reason "..." promotes; '
        f'autoops close {number} --reason "..." does not.',
    )


def _silent(_facts: Facts) -> Wording:
    return Wording(
        "monitor_silent",
        "failure",
        "the monitor is silent",
        "Nothing: predictions are not judged meanwhile. The API goes on answering.",
        "look at the DAG drift_monitor in Airflow, which may be paused or failing; autoops check-drift checks by hand.",
    )


def _heard(_facts: Facts) -> Wording:
    return Wording("monitor_silent", "success", "the monitor checks again", "Nothing was needed.", "nothing.")


def _not_served(facts: Facts) -> Wording:
    number = facts.entry.model_version
    return Wording(
        "not_served",
        "failure",
        f"the API does not serve version {number}, which is champion",
        "What an API process has loaded goes on answering, and it goes on trying to load the champion.",
        "GET /model/info of the API says why; autoops status shows who serves what; "
        'autoops rollback --reason "..." puts the previous version in charge.',
    )


def _served(facts: Facts) -> Wording:
    happened = f"the API serves version {facts.entry.model_version}, the champion, again"
    return Wording("not_served", "success", happened, "Nothing was needed.", "nothing.")


def _labels_missing(_facts: Facts) -> Wording:
    return Wording(
        "labels_missing",
        "failure",
        "labels do not come any more",
        "Inputs and predictions are judged; errors are not, and no promotion is checked afterwards.",
        "look at what sends them to POST /ground-truth; autoops status shows the share that is labelled.",
    )


def _labels_again(_facts: Facts) -> Wording:
    return Wording("labels_missing", "success", "labels come again", "Nothing was needed.", "nothing.")


def _detects_too_little(_facts: Facts) -> Wording:
    return Wording(
        "detects_too_little",
        "warning",
        "drift checks of the champion find large changes only",
        "Checks go on; what they do not find is left to the scheduled retraining.",
        "train a version on a longer or a calmer history (training.window_months), or set drift.worth_noticing.",
    )


def _frozen_long(_facts: Facts) -> Wording:
    return Wording(
        "frozen_long",
        "warning",
        "the loop is still frozen",
        "Checks are recorded; nothing is retrained, promoted or rolled back by itself.",
        'autoops unfreeze --reason "..." lets it act again; autoops freeze --reason "..." says that it is meant.',
    )


WORDS: Mapping[EntryKind, Callable[[Facts], Wording | None]] = {
    "incident opened": _opened,
    "promoted": _promoted,
    "gate": _rejected,
    "rolled back": _rolled_back,
    "quarantined": _quarantined,
    "page": _page,
    "retraining failed": _failed,
    "incident waiting for approval": _waits,
    "monitor silent": _silent,
    "monitor checks again": _heard,
    "not served": _not_served,
    "served again": _served,
    "labels missing": _labels_missing,
    "labels come again": _labels_again,
    "detects too little": _detects_too_little,
    "frozen long": _frozen_long,
}
"""Wordings by the kind of the ledger entry."""
