"""An event with a timer, for one waiter on a hot path: `asyncio.Event` asks the system for the process' id."""

from __future__ import annotations

import asyncio


class WakeEvent:
    """Set by anyone in the loop's thread, any number of times; one task at a time waits. `close` it at the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is the one that it is set and waited for in."""
        self._loop = loop
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """Let the waiter go on, now or when it comes."""
        self._is_set = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def clear(self) -> None:
        """Clear it: only what is set from now on ends the next wait."""
        self._is_set = False

    async def wait(self, at: float = float("inf")) -> None:
        """Return once it is set, or the loop's clock has come to `at` seconds. Cancel-safe.

        A timer of an earlier wait that is due before `at` stays: it may end this wait too early, which costs its caller
        one round. To move it at each wait would cost more.
        """
        if self._timer is None or self._timer.when() > at:
            self._set_timer(at)
        if self._is_set:
            return
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def close(self) -> None:
        """Stop the timer."""
        self._set_timer(float("inf"))

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._on_timer) if at < float("inf") else None

    def _on_timer(self) -> None:
        self._timer = None
        self.set()
