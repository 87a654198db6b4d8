"""Recognises a message that its caller has sent again, by its message id: it gets the answer of the first one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from orastream.jetstream.answers import Ack

KEPT_S = 120.0
"""As long as JetStream recognises a message id."""
MAX_KEPT = 16_384


class Repeats:
    """The messages of the last KEPT_S seconds that have an id, with their acks. For one event loop."""

    def __init__(self) -> None:
        self._acks: OrderedDict[str, tuple[float, asyncio.Future[Ack]]] = OrderedDict()

    def first(self, message_id: str) -> asyncio.Future[Ack] | None:
        """The ack of the message that had this id before, perhaps to come; None if there was none, or it has failed."""
        self._expire()
        found = self._acks.get(message_id)
        if found is None or (found[1].done() and (found[1].cancelled() or found[1].exception() is not None)):
            return None
        return found[1]

    def begin(self, message_id: str) -> asyncio.Future[Ack]:
        """A message with a new id. Returns the future of its ack, which the caller must set, or cancel."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ack] = loop.create_future()
        self._acks.pop(message_id, None)
        self._acks[message_id] = (loop.time(), future)
        while len(self._acks) > MAX_KEPT:
            self._acks.popitem(last=False)
        return future

    def _expire(self) -> None:
        limit = asyncio.get_running_loop().time() - KEPT_S
        while self._acks and next(iter(self._acks.values()))[0] < limit:
            self._acks.popitem(last=False)
