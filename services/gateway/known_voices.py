"""A copy of the node's voices, at most one second old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from orastream.client.voices import Voice
from orastream.contract.errors import NodeUnavailable

KEPT_S = 1.0
"""The synths are asked again when somebody asks and their answer is older."""


class KnownVoices:
    """Asks the synths at most once in KEPT_S seconds, however often callers ask. For one event loop."""

    def __init__(self, ask: Callable[[], Awaitable[list[Voice]]]) -> None:
        """`ask` asks the synths, and raises NodeUnavailable."""
        self._ask = ask
        self._lock = asyncio.Lock()
        self._voices: list[Voice] = []
        self._failure: NodeUnavailable | None = None
        self._until = float("-inf")

    async def get(self) -> list[Voice]:
        """The voices of all running synths, sorted by engine; [] when none is running. Raises NodeUnavailable.

        Calls may run concurrently; each may be cancelled.
        """
        clock = asyncio.get_running_loop().time
        async with self._lock:
            if clock() >= self._until:
                try:
                    self._voices, self._failure = await self._ask(), None
                except NodeUnavailable as exc:
                    self._failure = exc
                self._until = clock() + KEPT_S
        if self._failure is not None:
            raise NodeUnavailable(str(self._failure))
        return self._voices
