"""Answers that go on: written piece by piece, and given up when their reader takes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Message, Send

STALL_S = 20.0
"""A reader who takes no byte for so long is dropped; what waits for him is one piece and the socket's buffer."""

log = structlog.get_logger()


class BrokenOff(Exception):
    """Raised by the pieces of an answer that cannot go on: its reader sees it end without its end."""


class LiveResponse(StreamingResponse):
    """An answer that no proxy should buffer and no cache should keep."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        *,
        stall_s: float = STALL_S,
    ) -> None:
        live = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
        super().__init__(pieces, media_type=media_type, headers={**live, **(headers or {})})
        self._stall_s = stall_s

    async def stream_response(self, send: Send) -> None:
        """Write the pieces; ends early, without the end of the body, when one is not taken within `stall_s`.

        So it does when they break off. HTTP has no other way to say so.
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
