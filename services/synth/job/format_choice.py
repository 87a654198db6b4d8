"""Chooses the format of a request. With DELIVERY_FORMAT=auto it asks the heartbeats of the ws_bridges."""

from __future__ import annotations

import asyncio

import structlog

from orastream.contract.audio import Format
from orastream.contract.errors import NodeUnavailable
from orastream.contract.messages import SpeakRequest, Transport
from orastream.jetstream.api import JetStream
from orastream.jetstream.heartbeats import living_bridges
from services.synth.job.delivery_format import all_take, format_of
from services.synth.settings import DeliveryFormat

KNOWN_S = 1.0
"""How long an answer is used again. A bridge writes its heartbeat every 0.75 s."""

log = structlog.get_logger()


class FormatChoice:
    """Chooses the format of the first attempt at a request. For one event loop; any number of tasks at once."""

    def __init__(self, js: JetStream, setting: DeliveryFormat) -> None:
        self._js = js
        self._setting = setting
        self._reading = asyncio.Lock()
        self._opus_taken = False
        self._read_at = float("-inf")

    async def of(self, request: SpeakRequest, transport: Transport, *, deterministic: bool) -> Format:
        """Return the format. Only with `auto` it may read from NATS, once a second. Cancel-safe.

        wav while the heartbeats cannot be read: no request waits for them, or fails for them.
        """
        fmt = format_of(request, transport, self._setting, deterministic=deterministic)
        if fmt is not None:
            return fmt
        return "opus" if await self._all_take_opus() else "wav"

    async def _all_take_opus(self) -> bool:
        async with self._reading:  # several requests at once need one read
            now = asyncio.get_running_loop().time()
            if now >= self._read_at + KNOWN_S:
                self._opus_taken = await self._read()
                self._read_at = asyncio.get_running_loop().time()
            return self._opus_taken

    async def _read(self) -> bool:
        try:
            return all_take(await living_bridges(self._js, "ws_bridge"), "opus")
        except NodeUnavailable as exc:
            log.warning("the heartbeats of the bridges cannot be read: no opus", error=str(exc))
            return False
