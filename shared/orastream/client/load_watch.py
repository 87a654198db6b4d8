"""Listens to the loads of the synths, and refuses requests that would wait too long."""

from __future__ import annotations

import math
import time

from orastream.base import logger
from orastream.broker import Broker, Headers, Subscription
from orastream.contract.errors import Overloaded, Undecodable
from orastream.contract.load import NodeLoad, SynthLoad

MAX_RETRY_S = 60

log = logger.named(__name__)


class LoadWatch:
    """The node's load, as published on `subject`, from `open` to `close`. For one event loop.

    With `max_wait_s` None it does nothing.
    """

    def __init__(self, broker: Broker, subject: str, max_wait_s: float | None) -> None:
        self.load = NodeLoad()
        self._broker = broker
        self._subject = subject
        self._max_wait_s = max_wait_s
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Subscribe. Raises NodeUnavailable."""
        if self._max_wait_s is not None and self._subscription is None:
            self._subscription = await self._broker.subscribe(self._subject, self._on_message)

    async def close(self) -> None:
        """Unsubscribe. Raises nothing while NATS is away."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()

    def check(self) -> float:
        """Count a request that is stored now. Raises Overloaded if it would wait more than `max_wait_s` seconds for a
        slot.

        While no synth is known, each request is accepted. Returns what `undo` takes if it is not stored after all.
        """
        now = time.monotonic()
        max_wait_s, wait_s = self._max_wait_s, self.load.wait_s(now)
        if max_wait_s is None:
            return now
        if wait_s is None or wait_s <= max_wait_s:
            self.load.stored(now)
            return now
        retry_s = min(max(1, math.ceil(wait_s - max_wait_s)), MAX_RETRY_S)
        raise Overloaded(
            f"all synths are busy: a request would wait about {wait_s:.1f} s for a slot, more than the limit of "
            f"{max_wait_s:g} s; try again in {retry_s} s",
            retry_after_s=retry_s,
        )

    def undo(self, counted: float) -> None:
        """The request that `check` has counted was not stored."""
        self.load.not_stored(counted)

    def _on_message(self, _subject: str, _reply: str, data: bytes, _headers: Headers) -> None:
        try:
            load = SynthLoad.decode(data)
        except Undecodable:
            log.debug("the load of a synth cannot be read", bytes=len(data))
            return
        self.load.receive(load, time.monotonic())
