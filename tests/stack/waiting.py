"""Waiting for what others do in their own time: by looking, with a deadline that only a broken stack misses."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

from autoops.errors import AutoOpsError

Found = TypeVar("Found")
LOOK_S = 1.0


class NotYet(Exception):
    """What a look found wanting; it is told when the time is over."""


def eventually(look: Callable[[], Found], within_s: float, what: str) -> Found:
    """The first truthy thing that `look` finds. A service that does not answer is looked at again: whether it comes
    back is what is waited for."""
    deadline = time.monotonic() + within_s
    while True:
        complaint = ""
        try:
            if found := look():
                return found
        except (httpx.HTTPError, AutoOpsError, NotYet) as error:
            said = f" {error.response.text[:300]}" if isinstance(error, httpx.HTTPStatusError) else ""
            complaint = f"; the last look failed: {type(error).__name__}: {error}{said}"
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s{complaint}"
        time.sleep(LOOK_S)
