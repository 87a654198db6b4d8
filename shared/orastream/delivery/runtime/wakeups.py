"""The wake-ups that the owner of a session holds until the session's machine allows their ack."""

from __future__ import annotations

from collections.abc import Iterator

from orastream.delivery.rules.session import Session
from orastream.jetstream.pull_consumer import Delivery

NAK_DELAY_S = 1.0
"""Seconds until the consumer delivers a wake-up again after a nak. Prevents redelivery in a tight loop."""
LATE_S = 0.25
"""The message that a wake-up names has come live before, or comes soon. If not within this time, it must be read."""
LATE_AGAIN_S = 2.0


class HeldCount:
    """How many wake-ups all sessions of a bridge hold."""

    def __init__(self) -> None:
        self.count = 0


class Wakeups:
    """Deliveries of the bridges' durable consumer, by stream sequence. Times are monotonic seconds."""

    def __init__(self, held: HeldCount) -> None:
        """`held` counts those of all sessions."""
        self._count = held
        self._held: dict[int, Delivery] = {}
        self._late_at: dict[int, float] = {}
        """When to read the stream for the message of a wake-up, unless it has come by then."""

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(list(self._held.values()))

    def hold(self, delivery: Delivery, now: float) -> None:
        """Keep a delivery; a newer delivery of the same message replaces the older one."""
        self._count.count += delivery.sequence not in self._held
        self._held[delivery.sequence] = delivery
        self._late_at.setdefault(delivery.sequence, now + LATE_S)

    def late(self, session: Session, now: float, verified: int) -> bool:
        """Whether the message of a wake-up did not come: the stream must be read. Then not again for LATE_AGAIN_S."""
        self._late_at = {
            sequence: at
            for sequence, at in self._late_at.items()
            if sequence in self._held and sequence > verified and not session.knows(sequence)
        }
        due = [sequence for sequence, at in self._late_at.items() if now >= at]
        self._late_at.update(dict.fromkeys(due, now + LATE_AGAIN_S))
        return bool(due)

    def next_time(self) -> float | None:
        """When to call `late` again, or None."""
        return min(self._late_at.values(), default=None)

    async def ack_done(self, session: Session, verified: int) -> None:
        """Ack the wake-ups that need no more work. `verified` is that of the feed of the session's messages."""
        for sequence, delivery in list(self._held.items()):
            if session.may_ack(sequence, verified):
                del self._held[sequence]
                self._count.count -= 1
                await delivery.ack()
                session.acked(sequence)

    async def nak(self, delay_s: float) -> None:
        """Nak all held wake-ups: the consumer delivers them again, to any bridge, after `delay_s` seconds."""
        held, self._held = self._held, {}
        self._count.count -= len(held)
        for delivery in held.values():
            await delivery.nak(delay_s)
