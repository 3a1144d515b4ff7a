"""How often a key may ask."""

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from autoops.serving.keys import Key


class Rates:
    """Of the requests of this process; several processes or replicas let a key ask so many times as often."""

    def __init__(self, default: str | None) -> None:
        self._default = default
        self._items: dict[str, RateLimitItem] = {}
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def wait_s(self, key: Key) -> int:
        """Counts a request. 0 where it is within the key's rate, else in how many seconds one will be."""
        rate = key.rate_limit or self._default
        if rate is None:
            return 0
        item = self._items.setdefault(rate, parse(rate))
        if self._limiter.hit(item, key.name):
            return 0
        return max(1, math.ceil(self._limiter.get_window_stats(item, key.name).reset_time - time.time()))
