"""When the lease of a bridge allows its sessions to write. Pure; times are monotonic seconds.

A bridge stores a heartbeat, which the server deletes after HEARTBEAT_LIFE_S. Other bridges take none of its sessions
while the heartbeat is stored. The lease ends LEASE_MARGIN_S before that, counted from before the heartbeat was sent.
So while the lease has not lapsed, no other bridge can have taken a session of this bridge. After a lapse each session
must confirm its ownership first (`WritePermission`).
"""

from __future__ import annotations

from dataclasses import dataclass

LEASE_MARGIN_S = 0.5
"""Seconds by which the lease ends before the server deletes its heartbeat."""


@dataclass(slots=True)
class LeaseTerm:
    """The lease of one bridge. The server keeps a heartbeat for `life_s` seconds."""

    life_s: float
    _until: float = 0.0
    _connected: bool = True
    lapses: int = 0
    """Number of times that the lease ran out or was in doubt. After each, every session must check its ownership."""

    def valid(self, now: float) -> bool:
        """Whether writes are allowed now."""
        return self._connected and now < self._until

    def over(self, now: float) -> bool:
        """Whether the lease has run out, so that other bridges may have taken the sessions."""
        return now >= self._until

    def renewed(self, sent_at: float, now: float) -> bool:
        """Record that the heartbeat sent at `sent_at` is stored. Return whether the lease had run out before."""
        lapsed = 0.0 < self._until <= now
        self.lapses += lapsed
        self._until = sent_at + self.life_s - LEASE_MARGIN_S
        return lapsed

    def doubt(self) -> None:
        """Owner records or heartbeats were lost: each owner must check its ownership before it writes more."""
        self.lapses += 1

    def disconnected(self) -> None:
        """Allow no write until `reconnected`: other bridges may call this one gone, and take its sessions at once."""
        self._connected = False

    def reconnected(self) -> None:
        """Allow writes again, after each owner has checked its ownership."""
        self._connected = True
        self.doubt()

    def end(self) -> None:
        """End the lease: no session may write any more."""
        self._until = 0.0


@dataclass(slots=True)
class WritePermission:
    """Whether the owner of one session may write: the lease is valid, and ownership was confirmed after each lapse."""

    term: LeaseTerm
    confirmed_lapse: int
    """`term.lapses` at the time when the ownership was last confirmed."""
    asking: bool = False
    """The owner's record is being read."""

    def granted(self, now: float) -> bool:
        """Whether the lease allows a write at `now`."""
        return self.term.lapses == self.confirmed_lapse and self.term.valid(now)

    def next_check(self) -> int | None:
        """The lapse for which to read the owner's record now, or None. Then None until `answered` is called."""
        if self.asking or self.term.lapses == self.confirmed_lapse:
            return None
        self.asking = True
        return self.term.lapses

    def answered(self, lapse: int, *, ours: bool | None) -> None:
        """Report the result of reading the record: ours, another owner's, or None if NATS did not answer."""
        self.asking = False
        if ours:
            self.confirmed_lapse = lapse
