"""Streamed answers, which are ended when their reader stops reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Message, Send

STALL_S = 20.0
"""A reader that takes no byte for so long is disconnected. Until then it holds one piece and the socket's buffer."""

LIVE_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
"""Headers that tell proxies not to buffer an answer and caches not to store it."""

log = structlog.get_logger()


class BrokenOff(Exception):
    """Raised by the iterator of pieces when it cannot go on. The reader sees an incomplete body."""


class LiveResponse(StreamingResponse):
    """A streamed answer with LIVE_HEADERS."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        *,
        status: int = 200,
        stall_s: float = STALL_S,
    ) -> None:
        super().__init__(pieces, status, {**LIVE_HEADERS, **(headers or {})}, media_type)
        self._stall_s = stall_s

    async def stream_response(self, send: Send) -> None:
        """Write the pieces.

        When the reader does not take one within `stall_s`, or on BrokenOff, it returns without ending the body. HTTP
        has no other way to show that a started answer is incomplete.
        """

        async def bounded(message: Message) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        try:
            await super().stream_response(bounded)
        except BrokenOff as exc:
            log.warning("an answer broke off", media_type=self.media_type, error=str(exc))
        except TimeoutError:
            log.warning("a reader who took nothing was dropped", media_type=self.media_type, stall_s=self._stall_s)
