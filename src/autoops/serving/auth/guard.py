"""Checks of each request's API key, scope and rate limit. Imported only if keys are configured."""

import base64
import binascii
import logging
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.responses import Response
from starlette.types import Scope as HttpScope

from autoops.serving.auth.keys import KEY, Key, Keys, Scope
from autoops.serving.http import docs_page
from autoops.serving.http.middleware import READING
from autoops.serving.http.openapi import JsonSchema
from autoops.serving.http.problems import problem

logger = logging.getLogger(__name__)

OPEN = frozenset({"/health", "/ready", "/v2/health/live", "/v2/health/ready"})
"""Paths that need no key: load balancers and supervisors check by them whether this process works."""

PAGES = frozenset({docs_page.PAGE, *docs_page.ASSETS, "/openapi.json"})
"""Paths that a browser opens, where a GET may send the key as Basic password, the only form a browser has for it. No
other path accepts one: a browser attaches the password to every request, also to one that another site causes."""

_BEARER = 'Bearer realm="Auto-Ops"'
_BASIC = 'Basic realm="Auto-Ops: any name, a key as the password", charset="UTF-8"'


class Rates:
    """Rate limits, counted per process: with N processes or replicas, a key may send N times as many requests."""

    def __init__(self, default: str | None) -> None:
        self._default = default
        self._items: dict[str, RateLimitItem] = {}
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def wait_s(self, key: Key) -> int:
        """Count a request and return 0 if it is within the key's rate limit, else return the seconds to wait."""
        rate = key.rate_limit or self._default
        if rate is None:
            return 0
        item = self._items.get(rate)
        if item is None:
            item = self._items[rate] = parse(rate)
        if self._limiter.hit(item, key.name):
            return 0
        # At least 1: `Retry-After: 0` asks for a repeat at once.
        return max(1, math.ceil(self._limiter.get_window_stats(item, key.name).reset_time - time.time()))


class Auth:
    """Decides whether a request is allowed.

    `needed` maps paths to their scopes. On other paths every key may read (GET, HEAD), and any other method needs the
    scope `admin`, so that a path missing from `needed` is not open.
    """

    def __init__(self, keys: Keys, needed: Mapping[str, Scope], rates: Rates) -> None:
        self._keys, self._needed, self._rates = keys, needed, rates

    def refusal(self, scope: HttpScope, path: str) -> Response | None:
        """Return the error response (401, 403 or 429) to a request that is not allowed, None if it is allowed.

        An allowed request has the name of its key in `scope[KEY]`, unless its path is in `OPEN`.
        """
        if path in OPEN:
            return None
        reads = scope["method"] in READING
        secret = _presented(scope["headers"], of_a_browser=reads and path in PAGES)
        key = self._keys.owner_of(secret) if secret else None
        if key is None:
            return _unknown("this key is not known here" if secret else "a key is needed", path in PAGES)
        if wait_s := self._rates.wait_s(key):
            return problem(429, f"the key {key.name} has exceeded its rate limit", headers={"Retry-After": str(wait_s)})
        needed = self._needed.get(path) or (None if reads else "admin")
        if needed is not None and needed not in key.scopes:
            return problem(403, f"the key {key.name} has not the scope {needed}")
        if needed == "admin":
            logger.info("%s %r by the key %s", scope["method"], path, key.name)
        scope[KEY] = key.name
        return None


def _unknown(detail: str, by_a_browser: bool) -> Response:
    return problem(401, detail, headers={"WWW-Authenticate": _BASIC if by_a_browser else _BEARER})


def _presented(headers: Iterable[tuple[bytes, bytes]], of_a_browser: bool) -> bytes:
    """Return the key that the request sends, empty if there is none."""
    value = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, rest = value.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if of_a_browser and scheme.lower() == b"basic":
        return _password(rest)
    return b""


def _password(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def declare(document: JsonSchema, needed: Mapping[str, Scope], refusals: Mapping[int | str, Any]) -> None:
    """Add the security scheme to an OpenAPI document, and the error responses `refusals` to its operations."""
    described = "A key of `autoops keys add`"
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": described}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            scopes = [needed[path]] if path in needed else []
            operation["security"] = [] if path in OPEN else [{"key": scopes}]
            if path not in OPEN:
                operation["responses"] |= {str(status): answer for status, answer in refusals.items()}
