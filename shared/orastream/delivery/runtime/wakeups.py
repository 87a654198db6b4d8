"""The wake-ups that the owner of a session holds, until the session's machine says that they may be acked."""

from __future__ import annotations

from collections.abc import Iterator

from orastream.delivery.rules.session import Session
from orastream.jetstream.pull_consumer import Delivery

NAK_DELAY_S = 1.0
"""After a wake-up that cannot be used now, the consumer waits this long before it delivers it again."""


class Wakeups:
    """Deliveries of the bridges' consumer, by stream sequence."""

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
        """Ack what the machine has nothing to do for. `verified` is that of the feed of the session's messages."""
        for sequence, delivery in list(self._held.items()):
            if self._session.may_ack(sequence, verified):
                del self._held[sequence]
                await delivery.ack()

    async def nak(self, delay_s: float) -> None:
        """Let the consumer deliver all of them again, to any bridge, after `delay_s` seconds."""
        held, self._held = self._held, {}
        for delivery in held.values():
            await delivery.nak(delay_s)
