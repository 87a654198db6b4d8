"""When the lease of a bridge allows its sessions to write. Pure; times are monotonic seconds.

A bridge stores a heartbeat that the server deletes after HEARTBEAT_LIFE_S. Other bridges believe it alive until then.
The lease ends earlier than that, and is counted from before the heartbeat was sent: while it holds, nobody can have
taken a session of this bridge.
"""

from __future__ import annotations

from dataclasses import dataclass

LEASE_MARGIN_S = 0.5
"""How much earlier the lease ends than the heartbeat that it stands for."""


@dataclass(slots=True)
class LeaseTerm:
    """The lease of one bridge; `life_s` is how long the server keeps a heartbeat."""

    life_s: float
    _until: float = 0.0
    lapses: int = 0
    """How often the lease had run out before it was renewed. What was owned before must then be looked at again."""

    def valid(self, now: float) -> bool:
        """Whether writes are allowed now."""
        return now < self._until

    def renewed(self, sent_at: float, now: float) -> bool:
        """A heartbeat that was sent at `sent_at` is stored. Returns whether the lease had run out meanwhile."""
        lapsed = 0.0 < self._until <= now
        self.lapses += lapsed
        self._until = sent_at + self.life_s - LEASE_MARGIN_S
        return lapsed

    def doubt(self) -> None:
        """The records of owners or the heartbeats were lost: each owner looks again before it writes more."""
        self.lapses += 1

    def end(self) -> None:
        """Nothing may be written any more."""
        self._until = 0.0


@dataclass(slots=True)
class WritePermission:
    """Whether the owner of one session may write: its lease holds, and its ownership was confirmed after each lapse."""

    term: LeaseTerm
    confirmed_lapse: int
    """The lapse of the lease as of which the ownership is known."""
    asking: bool = False
    """The ownership is being looked at."""

    def granted(self, now: float) -> bool:
        """Whether a chunk may be written now, as far as the lease goes."""
        return self.term.lapses == self.confirmed_lapse and self.term.valid(now)

    def must_ask(self) -> int | None:
        """The lapse for which the ownership has to be looked at now; None when nothing is to be asked. Given once."""
        if self.asking or self.term.lapses == self.confirmed_lapse:
            return None
        self.asking = True
        return self.term.lapses

    def answered(self, lapse: int, *, ours: bool | None) -> None:
        """The record was read: it is ours, another's, or (None) NATS did not answer."""
        self.asking = False
        if ours:
            self.confirmed_lapse = lapse
