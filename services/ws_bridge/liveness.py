"""How long an OraServer is borne that does not answer, or takes no byte. Pure; time comes in as monotonic seconds.

Both waits run from the last sign of progress. One that reads as slowly as speech is played answers late and takes bytes
in small portions, but goes on doing so; one that is gone does neither.
"""

from __future__ import annotations

STALLED_S = 10.0
PONG_S = 10.0
LOOK_EVERY_S = 1.0
"""While bytes wait for the kernel, how often is to be looked at whether it takes any."""


class Liveness:
    """The pings that are not answered yet, and the bytes that the kernel does not take, of one connection."""

    def __init__(self) -> None:
        self._asked: dict[bytes, float] = {}
        self._progress_at = float("-inf")
        self._unsent = 0
        self._unsent_at: float | None = None

    def asked(self, ping: bytes, now: float) -> None:
        """A ping was written."""
        self._asked[ping] = now

    def answered(self, ping: bytes, now: float) -> list[bytes]:
        """A pong came; gives the pings that it answers: RFC 6455, 5.5.3: its own and, in order, every one before."""
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
        """So many bytes have not reached the kernel now, which takes no more at once."""
        if self._unsent_at is None:
            self._unsent_at = now
        elif size < self._unsent:
            self._unsent_at = self._progress_at = now
        self._unsent = size

    def sent(self, now: float) -> None:
        """The kernel has taken everything, after a while in which it did not."""
        self._unsent_at = None
        self._progress_at = now

    def gone(self, now: float) -> str | None:
        """Why it is to be given up, or None."""
        if self._unsent_at is not None and now >= self._unsent_at + STALLED_S:
            return f"OraServer took no byte for {STALLED_S:g} s"
        answer_by = self._answer_by
        if answer_by is not None and now >= answer_by:
            return f"a ping was not answered for {PONG_S:g} s"
        return None

    def next_time(self, now: float) -> float | None:
        """When to look again, or None: nothing is waited for."""
        if self._unsent_at is not None:
            return now + LOOK_EVERY_S
        return self._answer_by

    @property
    def _answer_by(self) -> float | None:
        asked_at = next(iter(self._asked.values()), None)
        return None if asked_at is None else max(asked_at, self._progress_at) + PONG_S
