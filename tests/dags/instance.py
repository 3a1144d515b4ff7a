"""An API instance as the rest of the system sees one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from autoops.errors import RegistryUnavailable
from autoops.loop.context import Context
from autoops.models.registry import CHAMPION

BEAT_S = 0.3


@contextmanager
def an_instance(context: Context) -> Iterator[None]:
    """Heartbeats that name the champion."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_S):
            with suppress(RegistryUnavailable):
                champion, now = context.registry.by_alias(CHAMPION), context.clock.now()
                context.instances.beat("the-only-one", champion.number if champion else None, now, now)

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
