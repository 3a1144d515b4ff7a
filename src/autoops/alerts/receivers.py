"""A receiver of alerts through Apprise, with a time limit and without any part of its address in messages and logs."""

import logging
import queue
import re
import threading
from typing import TYPE_CHECKING, Protocol

from autoops.alerts.addresses import Address
from autoops.alerts.messages import Message
from autoops.errors import ReceiverUnavailable, SettingsError

if TYPE_CHECKING:
    from apprise import Apprise

ANSWERS_WITHIN_S = 30
"""Apprise limits each wait for a byte (`?cto=` and `?rto=` of a URL change that); this limits the whole delivery."""


class Receiver(Protocol):
    """A destination of alerts."""

    @property
    def name(self) -> str:
        """Return the name under which deliveries are recorded: unique among the receivers, and without secrets."""

    def tell(self, message: Message) -> None:
        """Deliver the message; return when the receiver has accepted it.

        Raises:
            ReceiverUnavailable: the receiver did not accept it, or not in time.
            SettingsError: Apprise does not know this kind of address.
        """


class AppriseReceiver:
    """Discards Apprise's own log, because some of its services log the tokens of an address."""

    def __init__(self, address: Address, timeout_s: float = ANSWERS_WITHIN_S) -> None:
        self._address = address
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """Return the name of the address: its service, numbered if there are several of one kind."""
        return self._address.name

    def tell(self, message: Message) -> None:
        """Deliver the message in a daemon thread, and wait for `timeout_s` seconds at most.

        Raises:
            ReceiverUnavailable: the receiver did not accept it, or not in time.
            SettingsError: Apprise does not know this kind of address.
        """
        sender = self.sender()
        answer: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # A thread that hangs is abandoned, and ends with the process.
        threading.Thread(target=lambda: answer.put(_complaint(sender, message)), daemon=True).start()
        try:
            complaint = answer.get(timeout=self._timeout_s)
        except queue.Empty:
            complaint = f"did not answer within {self._timeout_s:g} s"
        if complaint is not None:
            raise ReceiverUnavailable(f"{self.name} {complaint}")

    def sender(self) -> "Apprise":
        """Return Apprise with this address. Not part of the time limit, because the import alone takes a second.

        Raises:
            SettingsError: Apprise does not know this kind of address.
        """
        import apprise

        logging.getLogger("apprise").propagate = False
        sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Auto-Ops", app_desc="Auto-Ops", async_mode=False))
        with apprise.LogCapture(level=logging.WARNING):
            if not sender.add(self._address.url.get_secret_value()):
                raise SettingsError(f"alerts.urls: {self.name} is no URL that Apprise knows")
        return sender


def _complaint(sender: "Apprise", message: Message) -> str | None:
    import apprise

    with apprise.LogCapture(level=logging.WARNING) as log:
        taken = sender.notify(
            body=message.body,
            title=message.title,
            notify_type=apprise.NotifyType(message.urgency),
            body_format=apprise.NotifyFormat.TEXT,
        )
        # Only the status, because the rest of Apprise's log may quote the address.
        code = re.search(r"error=(\d{3})\b", log.getvalue())
    if taken:
        return None
    return f"answered {code[1]}" if code else "did not take it"
