"""Who looks at the console: sign-in with an API key where keys are configured, and what a request must show to act."""

import hashlib
import logging
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from autoops.clock import Clock
from autoops.errors import SettingsError
from autoops.serving.auth.keys import Key, Keys, is_loopback

logger = logging.getLogger(__name__)

COOKIE, LASTS = "autoops_console", timedelta(hours=12)
MOST = 1_000
"""Sessions at the same time; the oldest ends first."""


class Visitor(NamedTuple):
    """Who asks: `name` is the actor in the ledger, `signed_in` is None where no sign-in is needed."""

    name: str
    may_act: bool
    signed_in: str | None


class Sessions:
    """The sessions of one process; without `keys` every visitor is `owner`, the user who runs the console."""

    def __init__(self, keys: Keys | None, owner: str, clock: Clock) -> None:
        self._keys, self._owner, self._clock = keys, owner, clock
        self._known: dict[str, tuple[Key, datetime]] = {}

    def visitor(self, token: str | None) -> Visitor | None:
        """Return who asks, None if a sign-in is needed. A key that was revoked or changed ends its sessions."""
        if self._keys is None:
            return Visitor(self._owner, True, None)
        key, ends_at = self._known.get(_digest(token or ""), (None, self._clock.now()))
        if key is None or ends_at <= self._clock.now() or not self._looked(self._keys).has(key):
            return None
        return Visitor(f"console:{key.name}", "admin" in key.scopes, key.name)

    def begin(self, secret: str) -> str | None:
        """Return the token of a new session, None if the secret is not that of a key."""
        key = self._looked(self._keys).owner_of(secret.strip().encode()) if self._keys else None
        if key is None:
            return None
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        token = secrets.token_urlsafe(32)
        self._known[_digest(token)] = key, self._clock.now() + LASTS
        logger.info("the key %s has signed in to the console", key.name)
        return token

    def end(self, token: str | None) -> None:
        """End the session, if there is one."""
        self._known.pop(_digest(token or ""), None)

    def _looked(self, keys: Keys) -> Keys:
        # While the file is unreadable, the previous keys stay valid.
        with suppress(SettingsError):
            keys.look()
        return keys


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def is_own_host(headers: Headers, host: str) -> bool:
    """Return whether the Host header names this machine, or `host`.

    Without sign-in, a page of another site could otherwise reach the console under a name that it resolves to
    127.0.0.1.
    """
    try:
        named = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return named == host or named.endswith(".localhost") or is_loopback(named)


def is_same_origin(headers: Headers) -> bool:
    """Return whether a page of this console caused the request, by the headers that a browser adds to each POST."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin", "")
    return site == "same-origin" if site else origin.partition("://")[2] == headers.get("host")
