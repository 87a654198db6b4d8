"""The pure half of a feed: live messages and backfills of the stored ones become each message exactly once.

Messages of one literal subject come out in stream order and without a gap; messages of different subjects may come
out in another order than that of the stream, and carry their sequence for whoever cares.

`verified` is what a read of the *stored* messages has shown: everything up to it has been yielded. Receiving a live
message never raises it: anybody who may publish can forge one. A read to the end raises it to the highest sequence that
a consumer was known to have delivered when the read began (`exists`), also where that message is deleted.

Each live message names its predecessor of the same literal subject (`Nats-Last-Sequence`); one whose predecessor was
not seen is held back until a read has shown what is between. A predecessor that has been deleted since only lowers that
number, which is no gap; its own copy, should it still come, is too late and dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Sequenced(Protocol):
    """What the merge needs to know of a message."""

    @property
    def subject(self) -> str:
        """The literal subject it is stored under."""
        ...

    @property
    def sequence(self) -> int:
        """Its sequence in the stream."""
        ...


M = TypeVar("M", bound=Sequenced)

MAX_HELD = 256
"""Messages held back at most; a held message is only a saved read, so the rest may be dropped."""


class FeedMerge(Generic[M]):
    """State of one feed. Not thread-safe; no I/O."""

    def __init__(self, after: int) -> None:
        """Yield what is stored above sequence `after`."""
        self.verified = after
        self.needs_read = True
        self._tails: dict[str, int] = {}
        """Per literal subject the last message yielded, if above `verified`: everything up to it was, or is deleted."""
        self._held: dict[int, tuple[int, M]] = {}
        self._held_before_read: set[int] = set()
        self._exists = after
        """The highest sequence that a consumer of the stream has delivered, as far as known."""
        self._existed_before_read = after

    def exists(self, sequence: int) -> None:
        """Say that the stream has given this sequence to a message; the next read shows what became of it."""
        if sequence > self._exists:
            self._exists = sequence

    def live(self, message: M, previous: int) -> list[M]:
        """What a live message lets out; `previous` is the sequence of its predecessor on the same literal subject."""
        tail = self._tail(message.subject)
        if message.sequence <= tail or message.sequence in self._held:
            return []
        if previous > tail:
            self.needs_read = True
            if len(self._held) < MAX_HELD:
                self._held[message.sequence] = (previous, message)
            return []
        self._yielded(message)
        return [message, *self._release()] if self._held else [message]

    def lost(self) -> None:
        """A live message was, or may have been, dropped: a read must look for it."""
        self.needs_read = True

    def begin_read(self) -> None:
        """A read from `verified` on begins; what is lost from now on asks for another one."""
        self.needs_read = False
        self._held_before_read = set(self._held)
        self._existed_before_read = self._exists

    def page(self, messages: Iterable[M]) -> list[M]:
        """What stored messages let out: the next ones above `verified`, ascending, none of them left out."""
        out: list[M] = []
        tails, held, verified = self._tails, self._held, self.verified
        for message in messages:
            sequence = message.sequence
            if sequence <= verified:
                continue
            if not tails or sequence > tails.get(message.subject, 0):
                out.append(message)
            if held:
                held.pop(sequence, None)
            verified = sequence
        self.verified = verified
        if tails:
            self._tails = {subject: tail for subject, tail in tails.items() if tail > verified}
        return out + self._release() if held else out

    def end_read(self) -> list[M]:
        """The stream's leader says that nothing is stored above `verified`: what was held from before is not either.

        Every stored message that existed when the read began was shown, so `verified` rises to the last of these. Else
        a message that was delivered and deleted before a read would never count as verified.
        """
        for sequence in self._held_before_read:
            self._held.pop(sequence, None)
        self._held_before_read.clear()
        if self._existed_before_read > self.verified:
            self.verified = self._existed_before_read
            self._tails = {subject: tail for subject, tail in self._tails.items() if tail > self.verified}
        out = self._release()
        if self._held:
            self.needs_read = True
        return out

    def _tail(self, subject: str) -> int:
        return max(self.verified, self._tails.get(subject, 0))

    def _yielded(self, message: M) -> M:
        self._tails[message.subject] = message.sequence
        return message

    def _release(self) -> list[M]:
        out: list[M] = []
        for sequence in sorted(self._held):
            previous, message = self._held[sequence]
            if sequence <= self._tail(message.subject):
                del self._held[sequence]
            elif previous <= self._tail(message.subject):
                del self._held[sequence]
                out.append(self._yielded(message))
        return out
