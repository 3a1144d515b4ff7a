"""How long a stop of the API takes at the most: whoever stops it must not lose patience earlier.

Each part waits for requests or for the database no longer than is said here, one after another. A database that takes
connections and never answers would hold them up for ever.
"""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from autoops.errors import StorageUnavailable
from autoops.settings import Settings

logger = logging.getLogger(__name__)

DRAIN_S = 10
"""On top of the time that a request may wait for its commit: for requests that are in work."""

SEND_ON_S = 10.0
"""For the rows of the outbox to reach the database; those that do not stay in the outbox."""

LAST_ACTION_S = 5.0
"""For a look at the registry or a heartbeat that is under way."""

_PERIODICS = 2
_END_S = 5
"""For the process itself to end."""


@dataclass(frozen=True)
class Patience:
    """With the last commit, and with what is said to the database at the very end."""

    commit_s: float
    sign_off_s: float

    @classmethod
    def of(cls, settings: Settings) -> "Patience":
        return cls(settings.storage.timeout_s, SEND_ON_S + settings.storage.timeout_s)


def stops_within_s(settings: Settings) -> int:
    """From SIGTERM to the end of the process."""
    patience = Patience.of(settings)
    requests_s = settings.serving.timeout_s + DRAIN_S
    return math.ceil(requests_s + patience.commit_s + _PERIODICS * LAST_ACTION_S + patience.sign_off_s + _END_S)


def sign_off(action: Callable[[], None], within_s: float) -> None:
    """Does it, or leaves it undone: an instance that goes without a word is forgotten, and its outbox adopted."""

    def attempt() -> None:
        try:
            action()
        except StorageUnavailable as error:
            logger.warning("this instance could not sign off: %s", error)

    thread = threading.Thread(target=attempt, name="sign-off", daemon=True)
    thread.start()
    thread.join(within_s)
    if thread.is_alive():
        logger.warning("this instance could not sign off: the database does not answer")
