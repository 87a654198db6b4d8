"""What the living ws_bridges of the node say of themselves in their heartbeats."""

from __future__ import annotations

import asyncio

from orastream.contract.bridge_record import BridgeRecord
from orastream.jetstream.api import JetStream
from orastream.jetstream.heartbeats import living_bridges

KNOWN_S = 1.0
"""How long an answer is used again: a record changes when OraServer is replaced."""


class OtherBridges:
    """Reads the heartbeats of the ws_bridges. For one event loop."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._records: list[BridgeRecord] = []
        self._read_at = float("-inf")

    async def announce_cancels(self) -> bool:
        """Whether a living ws_bridge has OraServer drop what is cancelled. Raises NodeUnavailable."""
        return any(record.announces_cancels for record in await self._living())

    async def live(self) -> bool:
        """Whether a ws_bridge lives. Raises NodeUnavailable."""
        return bool(await self._living())

    async def _living(self) -> list[BridgeRecord]:
        now = asyncio.get_running_loop().time()
        if now >= self._read_at + KNOWN_S:
            self._records = await living_bridges(self._js, "ws_bridge")
            self._read_at = now
        return self._records
