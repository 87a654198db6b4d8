"""Lets work of many tasks go on at the same moment, so that what they send leaves in one packet."""

from __future__ import annotations

import asyncio


class Batch:
    """Gathers tasks for `every_s` seconds. For one event loop."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._turn: asyncio.Event | None = None

    async def turn(self) -> None:
        """Return with all others that wait now: at most `every_s` seconds after the first of them. Cancel-safe."""
        turn = self._turn
        if turn is None:
            turn = self._turn = asyncio.Event()
            asyncio.get_running_loop().call_later(self._every_s, self._go, turn)
        await turn.wait()

    def _go(self, turn: asyncio.Event) -> None:
        self._turn = None
        turn.set()
