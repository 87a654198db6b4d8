"""The wake-ups that the owner of a session holds: acked when their request or cancel is done with, else given back."""

from __future__ import annotations

from collections.abc import Iterator

from orastream.delivery.session import Session
from orastream.pull import Delivery

MOST_REMEMBERED = 4096


class Wakeups:
    """Deliveries of the consumer by stream sequence."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: dict[int, Delivery] = {}
        self._closed: set[int] = set()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(list(self._held.values()))

    def hold(self, delivery: Delivery) -> None:
        """Keep it; a newer hand-out of the same message replaces the older one."""
        self._held[delivery.sequence] = delivery

    async def ack_done(self, now: float, verified: int) -> None:
        """Ack what is tidied, another bridge's, or (a read has shown everything up to `verified`) not stored."""
        self._closed.update(self._session.forget(now))
        session = self._session
        for sequence, delivery in list(self._held.items()):
            gone = sequence in self._closed or (sequence <= verified and not session.knows(sequence))
            if gone or session.done(sequence):
                del self._held[sequence]
                await delivery.ack()
        if len(self._closed) > MOST_REMEMBERED:
            self._closed = {sequence for sequence in self._closed if sequence > verified}

    async def give_back(self, delay_s: float) -> None:
        """Let the consumer hand all of them out again after `delay_s`."""
        held, self._held = self._held, {}
        for delivery in held.values():
            await delivery.give_back(delay_s)
