"""Reads the stored messages of a subject again and again, a bounded part at a time: for work that is not urgent."""

from __future__ import annotations

from orastream.jetstream.api import JetStream, Stored

PAGE = 256
MAX_PAGES = 4
"""Pages of one `read`."""


class PageCursor:
    """`read` returns the next messages, and begins again after the last one. Not thread-safe."""

    def __init__(self, js: JetStream, stream: str, subject: str) -> None:
        self._js = js
        self._stream = stream
        self._subject = subject
        self._after = 0

    async def read(self) -> list[Stored]:
        """The next MAX_PAGES pages at most. A replica may answer, so messages may be missing or deleted already.

        Raises NodeUnavailable. Cancel-safe.
        """
        messages: list[Stored] = []
        for _ in range(MAX_PAGES):
            page = await self._js.read(self._stream, self._subject, self._after, batch=PAGE)
            messages += page
            if not page or page[-1].ends_read:
                self._after = 0
                break
            self._after = page[-1].sequence
        return messages
