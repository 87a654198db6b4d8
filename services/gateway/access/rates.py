"""Counts what each caller has used in the last minute. The only file that imports `limits`.

The counts are in this process' memory: each gateway counts for itself, and a restart forgets them. Source of the
method: `limits`, sliding window counter: the previous minute counts by the share of it that lies in the last 60 s.
"""

from __future__ import annotations

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

WINDOW_S = 60
MAX_COUNTS = 10_000
"""Counts that are kept at the same time, at most two for each caller. Further callers share one count."""
OTHERS = "*"


class MinuteRate:
    """At most `most` units in a minute, for each caller. For one event loop; its calls do not suspend.

    A caller's counts are deleted two minutes after its last window began.
    """

    def __init__(self, most: int, *, max_counts: int = MAX_COUNTS) -> None:
        self.most = most
        self._item = RateLimitItemPerMinute(most)
        self._storage = MemoryStorage()
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)
        self._max_counts = max_counts

    @property
    def counts(self) -> int:
        """How many counts are kept."""
        return len(self._storage.storage)

    async def wait_s(self, who: str, units: int = 1) -> float | None:
        """Seconds after which this caller may use so many units, or None for now. `units` must be at most `most`."""
        return wait_of(self.most, units, *await self._window(await self._counted_as(who)))

    async def take(self, who: str, units: int = 1) -> None:
        """Count units, for which `wait_s` has just returned None; without room, nothing is counted."""
        await self._limiter.hit(self._item, await self._counted_as(who), cost=units)

    async def _counted_as(self, who: str) -> str:
        if self.counts < self._max_counts:
            return who
        previous, _, current = await self._window(who)
        return who if previous or current else OTHERS

    async def _window(self, who: str) -> tuple[int, float, int]:
        previous, _, current, current_ttl_s = await self._storage.get_sliding_window(
            self._item.key_for(who), self._item.get_expiry()
        )
        return previous, current_ttl_s - WINDOW_S, current  # the library keeps a window for the time of two


def wait_of(most: int, units: int, previous: int, left_s: float, current: int) -> float | None:
    """Seconds until `units` more fit into `most`; None if they fit now. They fit only after more
    than this time, not at its end.

    `previous` and `current` were used in the previous and the current window; the current one ends in `left_s` seconds.
    """
    room = most - units + 1  # the weighted use must be below it
    if previous * left_s / WINDOW_S + current < room:
        return None
    if current < room:
        return left_s - WINDOW_S * (room - current) / previous
    return left_s + WINDOW_S * (1 - room / current)
