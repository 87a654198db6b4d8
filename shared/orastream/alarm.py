"""An event for one waiter on a hot path: `asyncio.Event` asks the system for the process' id at each wait."""

from __future__ import annotations

import asyncio


class Alarm:
    """Rung by anyone in the loop's thread, any number of times; waited for by one task at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is the one that it is rung and waited for in."""
        self._loop = loop
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Let the waiter go on, now or when it comes."""
        self._rung = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def hush(self) -> None:
        """What has rung so far is known."""
        self._rung = False

    async def wait(self) -> None:
        """Return once it has rung since the last `hush`. Cancel-safe."""
        if self._rung:
            return
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None
