"""An event with a timer, for one waiter on a hot path. `asyncio.Event` costs more: its wait makes a system call."""

from __future__ import annotations

import asyncio

LATE_S = 0.0005
"""How much later than asked the timer is set. uvloop rounds to the nearest millisecond, so that a timer may fire half a
millisecond early. Its waiter would find nothing to do, and wait again for 0 ms: it would spin until the time has come.
"""


class WakeEvent:
    """An event that one task at a time waits for. Only for use in the loop's thread. Call `close` at the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is the event loop in which the event is set and waited for."""
        self._loop = loop
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.Handle | None = None
        self._due = float("inf")
        """The time for which the timer is set; infinity without one. Kept here: uvloop's handle of a call that is due
        at once has no `when`."""

    def set(self) -> None:
        """End the current wait, or the next one if no task waits now. May be called any number of times."""
        self._is_set = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def clear(self) -> None:
        """Unset the event: only a later `set` ends the next wait."""
        self._is_set = False

    async def wait(self, at: float = float("inf")) -> None:
        """Return when the event is set or the loop's clock reaches `at`, in seconds. Cancel-safe.

        May return before `at`: the timer of an earlier wait stays if it is due sooner, because moving the timer at each
        wait would cost more than one wait that ends too early.
        """
        if self._due > at:
            self._set_timer(at)
        if self._is_set:
            return
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def close(self) -> None:
        """Cancel the timer."""
        self._set_timer(float("inf"))

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at + LATE_S, self._on_timer) if at < float("inf") else None
        self._due = at

    def _on_timer(self) -> None:
        self._timer, self._due = None, float("inf")
        self.set()
