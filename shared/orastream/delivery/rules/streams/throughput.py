"""What a connection carries, and how long an answer takes: measured at acks. Pure; monotonic seconds.

As in BBR (draft-cardwell-iccrg-bbr-congestion-control, section 4.1): a sample is the number of bytes that OraServer has
read between the last ack before the sending of a frame and the ack of this frame, divided by that time. Counted from
the sending on, bytes that were read before it and acked after it would be too many. An ack says with `seen` what was
read of all streams; the bytes of its own stream may have been read long before it. A sample from a time in which
nothing waited to be sent says only that the connection carries at least as much.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

KEPT_S = 10.0
"""How long a sample counts."""
MAX_FRAMES = 4096
"""Frames in flight that are remembered. More are there only if OraServer does not say in `seen` what it reads."""
SMOOTHING = 1 / 8
"""The weight of a new ack time, as for the round-trip time of TCP (RFC 6298)."""


class _Probe(NamedTuple):
    frame: int
    at: float
    read: int
    acked_at: float
    """The time of the last ack before it; that of its sending if nothing was in flight."""
    busy: bool


class _HighestRate:
    """The highest rate of the last KEPT_S seconds."""

    __slots__ = ("_rates",)

    def __init__(self) -> None:
        self._rates: deque[tuple[float, float]] = deque()
        """(time, bytes a second), the largest first, without those that a later and larger one hides."""

    def add(self, rate: float, now: float) -> None:
        rates = self._rates
        while rates and rates[-1][1] <= rate:
            rates.pop()
        rates.append((now, rate))

    def at(self, now: float) -> float | None:
        rates = self._rates
        while rates and rates[0][0] < now - KEPT_S:
            rates.popleft()
        return rates[0][1] if rates else None


class Throughput:
    """Bytes a second and ack time of one connection."""

    def __init__(self) -> None:
        self.ack_s = 0.0
        """Seconds from the sending of a frame to its ack, smoothed; 0 before the first one."""
        self._sent: deque[tuple[int, int]] = deque(maxlen=MAX_FRAMES)
        """(frame, bytes sent up to its end) of the last frames that are in flight."""
        self._sent_bytes = self._read_bytes = 0
        self._acked_at = 0.0
        self._probe: _Probe | None = None
        self._busy, self._any = _HighestRate(), _HighestRate()

    def sent(self, frame: int, size: int, now: float, *, busy: bool) -> None:
        """An audio frame of so many bytes was sent. `busy`: it had waited for the connection."""
        if not self._sent:
            self._acked_at = now
        if self._probe is None:
            self._probe = _Probe(frame, now, self._read_bytes, self._acked_at, busy)
        self._sent_bytes += size
        self._sent.append((frame, self._sent_bytes))

    def acked(self, seen: int, now: float) -> None:
        """OraServer has read the frames up to `seen`."""
        sent = self._sent
        while sent and sent[0][0] <= seen:
            self._read_bytes = sent.popleft()[1]
        self._acked_at = now
        probe = self._probe
        if probe is None or probe.frame > seen:
            return
        self._probe = None
        took = now - probe.at
        self.ack_s += (took - self.ack_s) * (SMOOTHING if self.ack_s else 1.0)
        if now > probe.acked_at:
            self._sample((self._read_bytes - probe.read) / (now - probe.acked_at), now, busy=probe.busy)

    def bytes_per_s(self, now: float) -> float | None:
        """The largest rate of the last KEPT_S seconds; None if the connection was never busy in them."""
        return self._busy.at(now)

    def surely_bytes_per_s(self, now: float) -> float:
        """What the connection carries at least, as the last KEPT_S seconds have shown; 0.0 if nothing is known."""
        return self._any.at(now) or 0.0

    def _sample(self, rate: float, now: float, *, busy: bool) -> None:
        self._any.add(rate, now)
        known = self._busy.at(now)
        if busy or (known is not None and rate > known):
            self._busy.add(rate, now)
