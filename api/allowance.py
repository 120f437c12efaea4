"""How many requests each token may send: a bucket that fills at a rate and holds some seconds' worth (token bucket)."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

BURST_SECONDS = 2.0
"""What nobody took collects for so long: a program that reports in bursts is no flood."""

MOST_BUCKETS = 10_000


class Allowance:
    """An allowance for each of many keys.

    Args:
        rate: requests a second; 0: no limit.
        clock: seconds, never going back.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._size = max(1.0, rate * BURST_SECONDS)
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> float:
        """Take one; 0 where there was one, otherwise the seconds until there is."""
        if not self._rate:
            return 0.0
        moment = self._clock()
        left, since = self._buckets.pop(key, (self._size, moment))
        left = min(self._size, left + (moment - since) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._buckets[key] = (left if wait else left - 1, moment)
        if len(self._buckets) > MOST_BUCKETS:
            # Whoever has not asked for the longest time has a full bucket by now, or nearly.
            self._buckets.popitem(last=False)
        return wait
