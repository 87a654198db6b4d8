"""Which other processes of the same service are gone. Pure; times are monotonic seconds.

Each process subscribes to a subject of its own. If nobody subscribes to it, the server answers a probe at once with "no
responders". That is the sign of a process that was killed. It is also the sign of a live process that is reconnecting,
or that is behind a cut route of a cluster. So one such answer is not enough:

* they must go on for `confirm_s` seconds without a sign of life between;
* this process must have been connected for SETTLE_S seconds, because after a restart of the server all processes
  reconnect, and each of them looks dead to the others until it has.

A process that is stopped or slow causes timeouts, not this answer, and is never called gone.
Each process probes the next one in the order of their names, as in a ring, so the cost does not grow with their number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SETTLE_S = 2.0
SLOW_S = 2.0
"""How long a peer is passed over after two probes without any answer, so that the peers behind it are probed too."""
SILENT_S = 30.0
"""A peer that has shown no sign of life for this long is forgotten."""
HOLDS_LIFE_S = 3.4
"""What a peer held counts for this long after its last sign of life. Later the server may have delivered it again.

It is long enough for the wait in a cluster and three probes, and ends before the server redelivers: see its tests.
"""
MAX_PEERS = 256
"""Any publisher of the node can send beacons with invented names."""


@dataclass(slots=True)
class _Peer:
    alive_at: float
    holds: tuple[str, ...] = ()
    refused_since: float | None = None
    unanswered: int = 0
    """Probes without any answer since the last answer."""
    slow_until: float = 0.0


@dataclass(slots=True)
class PeerWatch:
    """What process `own` knows about the others of its service."""

    own: str
    confirm_s: float
    connected_at: float | None = None
    """When this process has connected; None while it is not connected."""
    _peers: dict[str, _Peer] = field(default_factory=dict)

    def connected(self, now: float) -> None:
        """The own process has connected, or connected again. What was suspected before does not count."""
        self.connected_at = now
        for peer in self._peers.values():
            peer.refused_since = None

    def disconnected(self) -> None:
        """The own process has lost its connection."""
        self.connected_at = None

    def heard(self, name: str, holds: tuple[str, ...], now: float) -> bool:
        """A beacon of a process was received; `holds` are the ack subjects of the deliveries that it holds.

        Return whether the process was unknown: it does not know this one either, so send a beacon.
        """
        new = name not in self._peers
        if name == self.own or (new and len(self._peers) >= MAX_PEERS):
            return False
        peer = self._peers.setdefault(name, _Peer(now))
        peer.alive_at, peer.holds, peer.refused_since = now, holds, None
        return new

    @property
    def alone(self) -> bool:
        """Whether no other process is known."""
        return not self._peers

    def suspects(self, name: str) -> bool:
        """Whether the process has refused the last probe, and is not called gone yet."""
        peer = self._peers.get(name)
        return peer is not None and peer.refused_since is not None

    def left(self, name: str) -> None:
        """A process has said that it ends. It hands back what it holds itself."""
        self._peers.pop(name, None)

    def probe(self, now: float) -> str | None:
        """Return the process to probe now, or None. Forgets processes that were silent for long."""
        for name in [name for name, peer in self._peers.items() if now > peer.alive_at + SILENT_S]:
            del self._peers[name]
        awake = sorted(name for name, peer in self._peers.items() if now >= peer.slow_until) or sorted(self._peers)
        return next((name for name in awake if name > self.own), awake[0] if awake else None)

    def answered(self, name: str, now: float) -> None:
        """A probe was answered by the process itself."""
        if (peer := self._peers.get(name)) is not None:
            peer.alive_at, peer.refused_since, peer.unanswered = now, None, 0

    def unanswered(self, name: str, now: float) -> None:
        """A probe had no answer: the process or the network is slow, or it died with the probe in its socket."""
        if (peer := self._peers.get(name)) is not None:
            peer.refused_since, peer.unanswered = None, peer.unanswered + 1
            if peer.unanswered > 1:
                peer.slow_until = now + SLOW_S

    def refused(self, name: str, now: float) -> tuple[str, ...] | None:
        """Nobody subscribes to the process's subject. If it is gone, forget it and return what it held, else None."""
        peer = self._peers.get(name)
        if peer is None:
            return None
        if self.connected_at is None or now < self.connected_at + SETTLE_S:
            peer.refused_since = None
        elif peer.refused_since is None:
            peer.refused_since = now
        elif now >= peer.refused_since + self.confirm_s:
            del self._peers[name]
            return peer.holds if now <= peer.alive_at + HOLDS_LIFE_S else ()
        return None
