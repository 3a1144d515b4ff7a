"""A round of alerts: from the ledger into the queue, and from there to the receivers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from autoops.alerts.delivery import NEWS_FOR, USUAL, Delivered, RetryPolicy, deliver
from autoops.alerts.messages import WORDS, Facts, message, trial
from autoops.alerts.queue import AlertQueue
from autoops.alerts.receivers import Receiver
from autoops.errors import ReceiverUnavailable, SettingsError
from autoops.loop.context import Context
from autoops.loop.records.ledger import Entry
from autoops.mlflow_pages import run_page, version_page


@dataclass(frozen=True)
class Alerts:
    """Dependencies of a round; built by `bootstrap`."""

    context: Context
    queue: AlertQueue
    receivers: Sequence[Receiver]


def tell(alerts: Alerts, retries: RetryPolicy = USUAL) -> Delivered:
    """Run a round, one at a time; without receivers nothing is queued."""
    if not alerts.receivers:
        return Delivered(0, {}, 0)
    now, most_per_hour = alerts.context.clock.now(), alerts.context.settings.alerts.most_per_hour
    with alerts.context.ledger.advisory_lock("alerts"):
        collect(alerts)
        return deliver(alerts.queue, alerts.receivers, most_per_hour, now, retries)


def collect(alerts: Alerts) -> None:
    """Queue alerts for new ledger entries of the events in the settings, none for entries older than `NEWS_FOR`."""
    events = alerts.context.settings.alerts.events
    for entry in alerts.queue.new_entries(list(WORDS), alerts.context.clock.now() - NEWS_FOR):
        told = message(_facts(alerts.context, entry))
        if told is not None and told.event in events:
            alerts.queue.add(entry.id, told)


def try_all(alerts: Alerts) -> dict[str, str | None]:
    """Send a test message to each receiver; return by its name why it failed, or None.

    Raises:
        SettingsError: there is no receiver.
    """
    if not alerts.receivers:
        raise SettingsError("alerts.urls: nobody is to be told; set AUTOOPS__ALERTS__URLS")
    outcomes: dict[str, str | None] = {}
    for receiver in alerts.receivers:
        try:
            receiver.tell(trial(alerts.context.settings.model.name))
            outcomes[receiver.name] = None
        except (ReceiverUnavailable, SettingsError) as error:
            outcomes[receiver.name] = str(error)
    return outcomes


class AlertsOverview(TypedDict):
    """The receivers, and the alerts that wait for delivery."""

    receivers: list[str]
    waiting: int
    waiting_since: str | None
    last_failure: str | None


def overview(alerts: Alerts) -> AlertsOverview:
    """Return what `autoops status` shows of alerts."""
    waiting = alerts.queue.alerts(unsettled=True)
    return {
        "receivers": [receiver.name for receiver in alerts.receivers],
        "waiting": len(waiting),
        # Newest first, so that the last one has waited longest.
        "waiting_since": waiting[-1].queued_at.isoformat() if waiting else None,
        "last_failure": next((alert.last_failure for alert in waiting if alert.last_failure), None),
    }


def sentence(state: AlertsOverview) -> str:
    """Return the overview as a line of text."""
    who = ", ".join(state["receivers"])
    if not who:
        return "alerts     nobody is told: alerts.urls is empty"
    if not state["waiting"]:
        return f"alerts     {who}: told everything"
    why = f"; {state['last_failure']}" if state["last_failure"] else ""
    since = (state["waiting_since"] or "")[:16]
    return f"alerts     {who}: {state['waiting']} not told to everybody yet, since {since}{why}"


def _facts(context: Context, entry: Entry) -> Facts:
    number = entry.incident_id
    incident = context.ledger.incident(number) if number is not None else None
    begun = context.ledger.entries(incident_id=number, kind="retraining begun") if number is not None else []
    forced = any(one.evidence.get("force") for one in begun)
    return Facts(entry, incident, context.settings.model.name, _report(context, entry), forced)


def _report(context: Context, entry: Entry) -> str | None:
    """Return the URL of MLflow's page of the check or version, without a request to MLflow, which may be away."""
    check_id = entry.evidence.get("check_id")
    if check_id is not None:
        check = context.checks.get(check_id)
        run_id = check.report.get("mlflow_run_id") if check else None
        return run_page(context.settings, run_id) if run_id else None
    return version_page(context.settings, entry.model_version) if entry.model_version is not None else None
