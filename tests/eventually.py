"""Waiting for what another thread or process does, without assuming how long it takes."""

import time
from collections.abc import Callable


def eventually(
    holds: Callable[[], object], within_s: float = 120, what: str = "it holds", every_s: float = 0.01
) -> None:
    """Looks every `every_s` seconds until it holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"in {within_s:g} s it did not come to be that {what}"
        time.sleep(every_s)
