"""The NATS server's clock, estimated on this host. Ages of stored messages are judged by it, not by the host's clock.

`OffsetEstimator` is pure. `ServerClock` is the one of a process: it reads this host's clocks.

The local axis is the monotonic clock, so a step of the host's time of day changes nothing. The reference is the server
that leads TTS_SESSIONS, because it puts the times on requests and cancels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

MAX_SKEW_S = 1.0
"""Clocks that differ by more are reported: the log of a service, `orastream doctor`."""
DRIFT = 5e-4
"""Seconds per second by which two clocks may drift apart. NTP corrects a clock by at most this rate."""
MAX_AGE_S = 60.0
"""An older sample is dropped when a new one comes."""
MAX_ROUND_TRIP_S = 2.0
"""The call of a sample that took longer was repeated, in an outage say. It is used only while there is no other one."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The server had the unix time `server_s` between two monotonic times of this host. `server` is its name."""

    server_s: float
    sent_at: float
    received_at: float
    server: str = ""

    @property
    def offset_s(self) -> float:
        """The server's unix time minus the monotonic time. Its error is at most `bound_s`."""
        return self.server_s - (self.sent_at + self.received_at) / 2

    def bound_s(self, now: float) -> float:
        """Half of the round trip, and the drift until `now` (monotonic seconds)."""
        return (self.received_at - self.sent_at) / 2 + DRIFT * max(0.0, now - self.sent_at)


class OffsetEstimator:
    """Keeps the samples of the last minute and uses the one with the smallest bound. Pure."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._best: Sample | None = None

    @property
    def offset_s(self) -> float | None:
        """The server's unix time minus the monotonic time; None before the first sample."""
        return None if self._best is None else self._best.offset_s

    def bound_s(self, now: float) -> float:
        """The largest error of `offset_s` at `now`, while no clock steps; infinite before the first sample."""
        return float("inf") if self._best is None else self._best.bound_s(now)

    def add(self, sample: Sample) -> None:
        """Add a sample. Drops the old ones, those of another server, and those that it contradicts.

        A sample whose round trip was longer than MAX_ROUND_TRIP_S is ignored if there is one with a smaller bound.

        Two samples contradict each other if both bounds together cannot explain their difference: then the server's
        clock has stepped, or this host was suspended, and only the new sample is true.
        """
        now = sample.received_at
        bound_s = sample.bound_s(now)
        if now - sample.sent_at > MAX_ROUND_TRIP_S and bound_s > self.bound_s(now):
            return
        self._samples = [
            other
            for other in self._samples
            if other.server == sample.server
            and now - other.received_at <= MAX_AGE_S
            and abs(other.offset_s - sample.offset_s) <= other.bound_s(now) + bound_s
        ]
        self._samples.append(sample)
        # The bounds of all samples grow at the same rate, so the best one stays the best until the next sample.
        self._best = min(self._samples, key=lambda kept: kept.bound_s(now))


class ServerClock:
    """The server's clock for one process. Before the first sample it is the host's clock. Not thread-safe."""

    def __init__(self) -> None:
        self._estimator = OffsetEstimator()

    @property
    def known(self) -> bool:
        """Whether there is a sample."""
        return self._estimator.offset_s is not None

    def add(self, sample: Sample) -> None:
        """Add a sample whose monotonic times are of `time.monotonic()`."""
        self._estimator.add(sample)

    def now_s(self) -> float:
        """The server's time now, in unix seconds."""
        offset_s = self._estimator.offset_s
        return time.time() if offset_s is None else time.monotonic() + offset_s

    def age_s(self, stored_at_s: float) -> float:
        """Seconds since the server's time `stored_at_s`; 0 if the estimate puts that time into the future."""
        return max(0.0, self.now_s() - stored_at_s)

    def monotonic_at(self, stored_at_s: float) -> float:
        """The `time.monotonic()` of the server's time `stored_at_s`, by the present estimate."""
        return time.monotonic() - (self.now_s() - stored_at_s)

    def skew_s(self) -> float:
        """Seconds by which this host's time of day is ahead of the server's; 0 before the first sample."""
        return time.time() - self.now_s() if self.known else 0.0
