"""The wake-ups that the owner of a session holds until the session's machine allows their ack."""

from __future__ import annotations

from collections.abc import Iterator

from orastream.delivery.rules.session import Session
from orastream.jetstream.pull_consumer import Delivery

NAK_DELAY_S = 1.0
"""Seconds until the consumer delivers a wake-up again after a nak. Prevents redelivery in a tight loop."""


class Wakeups:
    """Deliveries of the bridges' durable consumer, by stream sequence."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: dict[int, Delivery] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(list(self._held.values()))

    def hold(self, delivery: Delivery) -> None:
        """Keep a delivery; a newer delivery of the same message replaces the older one."""
        self._held[delivery.sequence] = delivery

    async def ack_done(self, verified: int) -> None:
        """Ack the wake-ups that need no more work. `verified` is that of the feed of the session's messages."""
        for sequence, delivery in list(self._held.items()):
            if self._session.may_ack(sequence, verified):
                del self._held[sequence]
                await delivery.ack()

    async def nak(self, delay_s: float) -> None:
        """Nak all held wake-ups: the consumer delivers them again, to any bridge, after `delay_s` seconds."""
        held, self._held = self._held, {}
        for delivery in held.values():
            await delivery.nak(delay_s)
