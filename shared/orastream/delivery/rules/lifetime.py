"""How long an owner keeps its session. Pure; times are monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass

REST_AFTER_S = 10.0
"""An owner without work for so long keeps only the session's links and its ownership (`owned_session.py`)."""


@dataclass(slots=True)
class Lifetime:
    """When the owner of one session releases it: it has no work for `idle_s` seconds, it drains, or it must leave."""

    idle_s: float
    leave_reason: str | None = None
    """Why this owner must stop at once and write nothing more, or None."""
    plays_until: float = float("-inf")
    """When the delivered utterances end that a cancel may end earlier. The session neither rests nor ends before."""
    heard_until: float = float("-inf")
    """When what was heard of the last utterance is known. Until then the session neither rests nor ends."""
    draining: bool = False
    """Begin no delivery any more."""
    _drain_until: float = 0.0
    _idle_since: float | None = None
    _gives_way: bool = False

    def leave(self, reason: str) -> None:
        """Stop at once, for example because another owner has the session. The first reason is kept."""
        if self.leave_reason is None:
            self.leave_reason = reason

    def give_way(self) -> None:
        """Release the session as soon as it has no work: the bridge is full."""
        self._gives_way = True

    def drain(self, now: float, seconds: float) -> None:
        """Finish the running delivery within `seconds`, then release the session."""
        self.draining, self._drain_until = True, now + seconds

    @property
    def has_work(self) -> bool:
        """Whether the last call of `over` found work."""
        return self._idle_since is None

    def over(self, now: float, *, delivering: bool, work: bool) -> bool:
        """Whether to release the session now. `delivering`: a delivery runs; `work`: anything else is left to do."""
        if self.leave_reason is not None or (self.draining and (not delivering or now >= self._drain_until)):
            return True
        if delivering or work:
            self._idle_since = None
            return False
        if self._idle_since is None:
            self._idle_since = now
        return now >= self._over_at(self._idle_since)

    def rests(self, now: float, *, held: int, running: bool) -> bool:
        """Whether the session may rest: no work for REST_AFTER_S seconds, no wake-up held, no call running."""
        at = self.rest_time()
        return at is not None and now >= at and not held and not running

    def rest_time(self) -> float | None:
        """When `rests` may become true (monotonic seconds), or None."""
        if self._idle_since is None:
            return None
        return max(self._idle_since + REST_AFTER_S, self.plays_until, self.heard_until)

    def next_time(self) -> float | None:
        """When `over` may become true if no event comes before (monotonic seconds), or None."""
        times = [] if self._idle_since is None else [self._over_at(self._idle_since)]
        if self.draining:
            times.append(self._drain_until)
        return min(times, default=None)

    def _over_at(self, idle_since: float) -> float:
        return idle_since if self._gives_way else max(idle_since + self.idle_s, self.plays_until, self.heard_until)
