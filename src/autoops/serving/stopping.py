"""How long a stop of the API takes at the most: whoever stops it must not lose patience earlier.

Each part waits for requests or for the database no longer than is said here, one after another.
"""

import math

from autoops.settings import Settings

DRAIN_S = 10
"""On top of the time that a request may wait for its commit: for requests that are in work."""

SEND_ON_S = 10.0
"""For the rows of the outbox to reach the database; those that do not stay in the outbox."""

LAST_ACTION_S = 5.0
"""For a look at the registry or a heartbeat that is under way."""

_PERIODICS = 2
_END_S = 5
"""For the process itself to end."""


def stops_within_s(settings: Settings) -> int:
    """The last commit of the writer and the word of leave wait for the database as long as anything may."""
    requests_s, database_s = settings.serving.timeout_s + DRAIN_S, 2 * settings.storage.timeout_s
    return math.ceil(requests_s + database_s + _PERIODICS * LAST_ACTION_S + SEND_ON_S + _END_S)
