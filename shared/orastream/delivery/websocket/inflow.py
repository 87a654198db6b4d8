"""How fast frames of one OraServer connection are handled, so that one receiver cannot take the whole event loop.

One read gives up to 256 KiB, which can hold 128 000 pings: handling them takes over a second, in which no other session
of the bridge gets a byte. So bytes are handled in small slices, few in one turn of the event loop, and at a limited
rate over time. Beyond it reading pauses, and TCP holds the sender back. Reading is paused rather than the connection
closed (1008): an OraServer that answers each chunk with a text frame may exceed the rate for a moment, and then only
its own confirmations come later. One that floods on is found by Liveness, because its pongs come too late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SLICE_BYTES = 256
"""Bytes that are handled at once: at most 128 frames, which is about 2 ms of work."""
TURN_COST = 64.0
"""Cost after which other tasks get a turn."""
COST_PER_S = 1000.0
"""Cost that a connection may cause for long: about 2 % of a core. Pongs to confirm real-time speech cost 1 to 5."""
MAX_SAVED = 2 * COST_PER_S
"""Cost that a connection may cause at once, after it was quiet."""


def cost_of(frames: int, size: int) -> float:
    """The cost of `frames` complete frames in `size` bytes: one for a frame, and one for each KiB."""
    return frames + size / 1024


class InflowBudget:
    """What a connection may still cost. Pure; times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._saved = MAX_SAVED
        self._at = now
        self._per_s = COST_PER_S

    def allow(self, cost_per_s: float) -> None:
        """Allow another cost for long; twice as much at once."""
        self._saved += 2 * (cost_per_s - self._per_s)
        self._per_s = cost_per_s

    def spend(self, cost: float, now: float) -> None:
        """Record work that was done."""
        self._saved = min(self._saved + (now - self._at) * self._per_s, 2 * self._per_s) - cost
        self._at = now

    def wait_s(self, now: float) -> float:
        """Seconds until more may be handled; 0 if it may be now."""
        return max(-(self._saved + (now - self._at) * self._per_s) / self._per_s, 0.0)


class PacedInput:
    """Hands received bytes to `take` in slices. For one event loop.

    `take` returns the number of frames that the bytes complete, or None if the connection has ended. `read` stops
    (False) and starts the reading of the transport. Call `close` when the connection has ended.
    """

    def __init__(self, take: Callable[[bytes], int | None], read: Callable[[bool], None]) -> None:
        self._take = take
        self._read = read
        self._loop = asyncio.get_running_loop()
        self._budget = InflowBudget(self._loop.time())
        self._waiting: memoryview | None = None
        self._later: asyncio.Handle | None = None

    def feed(self, data: bytes) -> None:
        """Handle these bytes after those that wait, at once if that is allowed."""
        if self._waiting is not None:  # a TLS transport may have decrypted them before it was paused
            self._waiting = memoryview(bytes(self._waiting) + data)
        elif len(data) <= SLICE_BYTES and not self._budget.wait_s(self._loop.time()):  # nearly always: a pong
            self._handle(data)
        else:
            self._waiting = memoryview(data)
            self._go_on()
            if self._waiting is not None:
                self._read(False)

    def allow(self, cost_per_s: float) -> None:
        """Allow another cost for long; twice as much at once."""
        self._budget.allow(cost_per_s)

    def close(self) -> None:
        """Drop the bytes that wait. Idempotent."""
        self._waiting = None
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _go_on(self) -> None:
        self._later = None
        spent = 0.0
        while self._waiting is not None:
            if wait_s := self._budget.wait_s(self._loop.time()):
                self._later = self._loop.call_later(wait_s, self._go_on_or_resume)
                return
            if spent >= TURN_COST:
                self._later = self._loop.call_soon(self._go_on_or_resume)
                return
            part, rest = self._waiting[:SLICE_BYTES], self._waiting[SLICE_BYTES:]
            self._waiting = rest if len(rest) else None
            cost = self._handle(bytes(part))
            if cost is None:
                self.close()
                return
            spent += cost

    def _go_on_or_resume(self) -> None:
        self._go_on()
        if self._waiting is None and self._later is None:
            self._read(True)

    def _handle(self, data: bytes) -> float | None:
        frames = self._take(data)
        if frames is None:
            return None
        cost = cost_of(frames, len(data))
        self._budget.spend(cost, self._loop.time())
        return cost
