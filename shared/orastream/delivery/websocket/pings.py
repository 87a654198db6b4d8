"""The pings of one connection that OraServer has not answered yet."""

from __future__ import annotations

import asyncio

from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.liveness import Liveness


class Pings:
    """The future of each unanswered ping, by the ping's payload. For one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, liveness: Liveness) -> None:
        """`liveness` is informed of each ping and of each answer, to find a peer that answers none."""
        self._loop = loop
        self._liveness = liveness
        self._count = 0
        self._unanswered: dict[bytes, asyncio.Future[None]] = {}

    def new(self) -> tuple[bytes, asyncio.Future[None]]:
        """Return the payload of the next ping, and the future that is done when it is answered."""
        self._count += 1
        payload, answered = b"%d" % self._count, self._loop.create_future()
        self._unanswered[payload] = answered
        self._liveness.asked(payload, self._loop.time())
        return payload, answered

    def answered(self, payload: bytes, now: float) -> None:
        """A pong has come. It answers the ping with this payload and all earlier ones (RFC 6455, section 5.5.3)."""
        for known in self._liveness.answered(payload, now):
            future = self._unanswered.pop(known)
            if not future.done():
                future.set_result(None)

    def fail(self, lost: LinkLost) -> None:
        """No ping will be answered any more: every future fails with `lost`."""
        for future in self._unanswered.values():
            if not future.done():
                future.set_exception(lost)
        self._unanswered.clear()
