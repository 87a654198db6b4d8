"""When the lease of a bridge allows its sessions to write. Pure; times are monotonic seconds.

A bridge stores a heartbeat, which the server deletes after HEARTBEAT_LIFE_S. The lease ends LEASE_MARGIN_S before that,
counted from before the heartbeat was sent. Other bridges take a session of this bridge when the heartbeat is not stored
any more, or when they find that the process has no connection (`jetstream.peer_watch`). So a bridge may write while its
lease lasts and it is connected. After a lapse or a reconnect each session must confirm its ownership first
(`WritePermission`).
"""

from __future__ import annotations

from dataclasses import dataclass

INFINITY = float("inf")
CHECK_S = 0.25
"""How often an owner looks again while no write is allowed."""
LEASE_MARGIN_S = 0.5
"""Seconds by which the lease ends before the server deletes its heartbeat."""


@dataclass(slots=True)
class LeaseTerm:
    """The lease of one bridge. The server keeps a heartbeat for `life_s` seconds."""

    life_s: float
    _until: float = 0.0
    _lost_at: float = INFINITY
    """When other bridges may call this one gone, because it has no connection."""
    lapses: int = 0
    """Number of times that the lease ran out or was in doubt. After each, every session must check its ownership."""

    def valid(self, now: float) -> bool:
        """Whether writes are allowed now."""
        return self._lost_at == INFINITY and now < self._until

    @property
    def over_at(self) -> float:
        """From when on other bridges may have taken the sessions. It moves on with each heartbeat that is stored."""
        return min(self._until, self._lost_at)

    def renewed(self, sent_at: float, now: float) -> bool:
        """Record that the heartbeat sent at `sent_at` is stored. Return whether the lease had run out before."""
        lapsed = 0.0 < self._until <= now
        self.lapses += lapsed
        self._until = sent_at + self.life_s - LEASE_MARGIN_S
        return lapsed

    def doubt(self) -> None:
        """Owner records or heartbeats were lost: each owner must check its ownership before it writes more."""
        self.lapses += 1

    def disconnected(self, now: float, confirm_s: float) -> None:
        """Allow no write until `reconnected`: after `confirm_s` seconds other bridges may call this one gone."""
        self._lost_at = now + confirm_s

    def reconnected(self) -> None:
        """Allow writes again, after each owner has checked its ownership."""
        self._lost_at = INFINITY
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

    def next_time(self, now: float) -> float:
        """When to look again while no write is allowed: soon, and when the lease is over."""
        soon, over_at = now + CHECK_S, self.term.over_at
        return min(soon, over_at) if over_at > now else soon

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
