"""Delivery of alerts: to each receiver once, the most urgent first, limited per hour, in bounded time.

A delivery is recorded after the receiver has accepted it. If the process ends, or the response is lost, between the
two, the receiver gets the alert a second time rather than not at all.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import tenacity

from autoops.alerts.messages import Message
from autoops.alerts.queue import Alert, AlertQueue
from autoops.alerts.receivers import Receiver
from autoops.errors import ReceiverUnavailable, SettingsError

logger = logging.getLogger(__name__)

HOUR = timedelta(hours=1)
NEWS_FOR = timedelta(days=7)
"""Older alerts and ledger entries are not delivered any more."""

URGENCY = ("failure", "warning", "success", "info")


@dataclass(frozen=True)
class RetryPolicy:
    """Attempts to deliver an alert to a receiver, and the longest pause in seconds before the second; pauses double."""

    attempts: int = 3
    pause_s: float = 2


USUAL = RetryPolicy()


@dataclass(frozen=True)
class Delivered:
    """Result of a round: the number of deliveries, why receivers failed, and how many alerts are not settled yet."""

    told: int
    failed: dict[str, str]
    waiting: int

    def to_json(self) -> Mapping[str, object]:
        """Return the fields by name; `failed` maps the name of a receiver to the reason."""
        return asdict(self)


def deliver(
    queue: AlertQueue, receivers: Sequence[Receiver], most_per_hour: int, now: datetime, retries: RetryPolicy
) -> Delivered:
    """Run one round. A receiver that fails gets nothing more in it; its other alerts wait for the next round."""
    begun = _Round(queue, receivers, retries, most_per_hour, now)
    for alert in sorted(queue.alerts(unsettled=True), key=lambda one: (URGENCY.index(one.urgency), one.id)):
        if alert.queued_at > now - NEWS_FOR:
            begun.tell(alert)
        else:
            queue.give_up(alert.id, f"given up after {NEWS_FOR.days} days: {alert.last_failure or 'too much to tell'}")
    return Delivered(begun.told, begun.failed, len(queue.alerts(unsettled=True)))


class _Round:
    """State of the receivers during one round."""

    def __init__(
        self, queue: AlertQueue, receivers: Sequence[Receiver], retries: RetryPolicy, most_per_hour: int, now: datetime
    ) -> None:
        self._queue, self._receivers, self._patience = queue, receivers, retries
        self._left = {one.name: most_per_hour - queue.told_since(one.name, now - HOUR) for one in receivers}
        self.failed: dict[str, str] = {}
        self.told = 0

    def tell(self, alert: Alert) -> None:
        known = self._queue.told(alert.id)
        for receiver in self._receivers:
            if receiver.name not in known and receiver.name not in self.failed and self._left[receiver.name] > 0:
                known |= self._told(alert, receiver)
        # A superset: `known` may name receivers that have left the settings.
        if known >= self._left.keys():
            self._queue.settle(alert.id)

    def _told(self, alert: Alert, receiver: Receiver) -> set[str]:
        """Return the receiver's name if it accepted the alert, else nothing."""
        reason = _failure(receiver, alert.message, self._patience)
        if reason is not None:
            self.failed[receiver.name] = reason
            self._queue.note_failure(alert.id, reason)
            logger.warning("alert %d waits: %s", alert.id, reason)
            return set()
        self._queue.note_told(alert.id, receiver.name)
        self._left[receiver.name] -= 1
        self.told += 1
        return {receiver.name}


def _failure(receiver: Receiver, message: Message, retries: RetryPolicy) -> str | None:
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ReceiverUnavailable),
        stop=tenacity.stop_after_attempt(retries.attempts),
        wait=tenacity.wait_random_exponential(multiplier=retries.pause_s, max=30),
        reraise=True,
    )
    try:
        attempts(receiver.tell, message)
    # SettingsError, too: an address that Apprise does not know must not stop the other receivers.
    except (ReceiverUnavailable, SettingsError) as error:
        return str(error)
    return None
