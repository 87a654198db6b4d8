"""Bounds what is in progress at the same time, in total and for each caller. Pure."""

from __future__ import annotations

from collections import Counter

from orastream.contract.caller import UNKNOWN


class FairShare:
    """At most `limit` things in progress, of which at most `each` of one known caller. For one event loop.

    So one caller cannot take all places: another one finds some as long as fewer than `limit / each` callers do so.
    Callers that are not known have no limit of their own: they may be many.
    """

    def __init__(self, limit: int, each: int) -> None:
        self.limit = limit
        self.each = each
        self._of: Counter[str] = Counter()
        self.taken = 0
        """How many places are taken now."""

    def enter(self, caller: str) -> str | None:
        """Take a place for a caller. Returns why there is none, or None; after None, call `leave` when it is over."""
        if caller != UNKNOWN and self._of[caller] >= self.each:
            return f"this caller has {self.each} requests in progress already; wait for some of them"
        if self.taken >= self.limit:
            return f"the gateway has {self.limit} requests in progress already; try again"
        self._of[caller] += 1
        self.taken += 1
        return None

    def leave(self, caller: str) -> None:
        """Give the place back."""
        self.taken -= 1
        self._of[caller] -= 1
        if not self._of[caller]:
            del self._of[caller]
