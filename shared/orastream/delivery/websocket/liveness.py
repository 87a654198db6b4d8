"""Timeouts for an OraServer that stops answering pings or stops reading. Pure; times are monotonic seconds.

Both timeouts start again at each progress. An OraServer that reads only as fast as speech is played answers late and
takes few bytes at a time, but it makes progress; one that is dead makes none.
"""

from __future__ import annotations

STALLED_S = 10.0
PONG_S = 10.0
LOOK_EVERY_S = 1.0
"""Interval of the checks whether the kernel has taken any of the unsent bytes."""


class Liveness:
    """Tracks the unanswered pings and the unsent bytes of one connection."""

    def __init__(self) -> None:
        self._asked: dict[bytes, float] = {}
        self._progress_at = float("-inf")
        self._unsent = 0
        self._unsent_at: float | None = None

    def asked(self, ping: bytes, now: float) -> None:
        """Record that a ping was written."""
        self._asked[ping] = now

    def answered(self, ping: bytes, now: float) -> list[bytes]:
        """Record a pong; returns the pings that it answers: its own and all earlier ones (RFC 6455, 5.5.3)."""
        if ping not in self._asked:
            return []
        self._progress_at = now
        done = []
        for known in list(self._asked):
            del self._asked[known]
            done.append(known)
            if known == ping:
                break
        return done

    def unsent(self, size: int, now: float) -> None:
        """Record that the kernel takes no more now and `size` bytes are unsent."""
        if self._unsent_at is None:
            self._unsent_at = now
        elif size < self._unsent:
            self._unsent_at = self._progress_at = now
        self._unsent = size

    def sent(self, now: float) -> None:
        """Record that the kernel has taken all unsent bytes."""
        self._unsent_at = None
        self._progress_at = now

    def gone(self, now: float) -> str | None:
        """Why the connection must be ended now, or None."""
        if self._unsent_at is not None and now >= self._unsent_at + STALLED_S:
            return f"OraServer took no byte for {STALLED_S:g} s"
        answer_by = self._answer_by
        if answer_by is not None and now >= answer_by:
            return f"a ping was not answered for {PONG_S:g} s"
        return None

    def next_time(self, now: float) -> float | None:
        """When to check again; None when there is neither an unanswered ping nor an unsent byte."""
        if self._unsent_at is not None:
            return now + LOOK_EVERY_S
        return self._answer_by

    @property
    def _answer_by(self) -> float | None:
        asked_at = next(iter(self._asked.values()), None)
        return None if asked_at is None else max(asked_at, self._progress_at) + PONG_S
