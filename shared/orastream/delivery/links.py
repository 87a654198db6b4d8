"""The open links of one session, one per phone, kept for the next utterance and closed when idle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orastream.delivery.sink import Link, Sink


@dataclass(slots=True)
class _Open:
    link: Link
    used_at: float


class Links:
    """Links by phone. Times are monotonic seconds. Used from one task and its children."""

    def __init__(self, sink: Sink, wake: Callable[[], None]) -> None:
        self._sink = sink
        self._wake = wake
        self._open: dict[str, _Open] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    async def get(self, session_id: str, phone_id: str, now: float) -> Link:
        """The open link of that phone, or a new one. Raises LinkLost."""
        known = self._open.get(phone_id)
        if known is not None and known.link.lost is None:
            known.used_at = now
            return known.link
        link = await self._sink.connect(session_id, phone_id, self._wake)
        self._open[phone_id] = _Open(link, now)
        return link

    async def close_idle(self, now: float, in_use: str | None) -> None:
        """Close what was not used for the sink's idle time and forget what is lost; `in_use` is a phone."""
        for phone, opened in list(self._open.items()):
            if phone == in_use:
                opened.used_at = now
            if opened.link.lost is not None:
                del self._open[phone]
            elif now >= opened.used_at + self._sink.idle_s:
                del self._open[phone]
                await opened.link.close()

    async def close(self) -> None:
        """Close all."""
        links, self._open = self._open, {}
        for opened in links.values():
            await opened.link.close()
