"""Merges the live messages and the stored messages of a feed, so that each message is yielded exactly once. Pure.

Messages of one literal subject are yielded in stream order and without a gap. Messages of different subjects may be
yielded in another order than the stream's; each carries its sequence.

`verified` is the sequence up to which a read of the *stored* messages has found, and yielded, every message. A live
message never raises it, because any publisher can forge one. A complete read raises it to the highest sequence that a
consumer was known to have delivered when the read began (`exists`), even if that message has been deleted.

Each live message names its predecessor on the same literal subject (`Nats-Last-Sequence`). If the predecessor was not
seen, the message is held back until a read has shown what is between. If the predecessor was deleted before, the
message names an older one, which is not a gap. A live copy of the predecessor that comes later is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Sequenced(Protocol):
    """The fields of a message that the merge uses."""

    @property
    def subject(self) -> str:
        """The literal subject under which it is stored."""
        ...

    @property
    def sequence(self) -> int:
        """Its sequence in the stream."""
        ...

    @property
    def size(self) -> int:
        """The memory that it takes, in bytes."""
        ...


M = TypeVar("M", bound=Sequenced)

MAX_HELD = 256
MAX_HELD_BYTES = 1 << 20
"""Bounds for the messages held back. More are dropped; the next read returns them."""


class FeedMerge(Generic[M]):
    """The merge state of one feed. Not thread-safe; no I/O."""

    def __init__(self, after: int, *, complete: bool = False) -> None:
        """Yield what is stored above sequence `after`. `complete`: each such message comes live, unless it is lost."""
        self.max_held_bytes = MAX_HELD_BYTES
        self.verified = after
        self.needs_read = not complete
        self._tails: dict[str, int] = {}
        """The last sequence yielded per literal subject, if above `verified`. All before it is yielded or deleted."""
        self._held: dict[int, tuple[int, M]] = {}
        self._held_bytes = 0
        self._held_before_read: set[int] = set()
        self._exists = after
        """The highest sequence that a consumer of the stream is known to have delivered."""
        self._existed_before_read = after

    def exists(self, sequence: int) -> None:
        """Report that the stream has stored a message at this sequence; the next read finds it or shows it deleted."""
        if sequence > self._exists:
            self._exists = sequence

    @property
    def tails(self) -> int:
        """Of how many literal subjects it remembers the end. A complete read forgets those that it has found."""
        return len(self._tails)

    def live(self, message: M, previous: int) -> list[M]:
        """Add a live message and return what can be yielded now.

        `previous` is the sequence of its predecessor on the same literal subject.
        """
        tail = self._tail(message.subject)
        if message.sequence <= tail or message.sequence in self._held:
            return []
        if previous > tail:
            self.needs_read = True
            if len(self._held) < MAX_HELD and self._held_bytes + message.size <= self.max_held_bytes:
                self._held[message.sequence] = (previous, message)
                self._held_bytes += message.size
            return []
        self._yielded(message)
        return [message, *self._release()] if self._held else [message]

    def lost(self) -> None:
        """Report that a live message was, or may have been, dropped: a read is needed."""
        self.needs_read = True

    def begin_read(self) -> None:
        """Begin a read above `verified`. A message lost from now on needs another read."""
        self.needs_read = False
        self._held_before_read = set(self._held)
        self._existed_before_read = self._exists

    def page(self, messages: Iterable[M]) -> list[M]:
        """Add the next stored messages above `verified` (ascending, complete) and return what can be yielded now."""
        out: list[M] = []
        tails, held, verified = self._tails, self._held, self.verified
        for message in messages:
            sequence = message.sequence
            if sequence <= verified:
                continue
            if not tails or sequence > tails.get(message.subject, 0):
                out.append(message)
            if sequence in held:
                self._let_go(sequence)
            verified = sequence
        self.verified = verified
        if tails:
            self._tails = {subject: tail for subject, tail in tails.items() if tail > verified}
        return out + self._release() if held else out

    def end_read(self) -> list[M]:
        """End a read: the leader says that nothing is stored above `verified`. Return what can be yielded now.

        Messages held since before the read are not stored, and are dropped. `verified` rises to the highest sequence
        known when the read began. Otherwise a message deleted before the read would never count as verified.
        """
        for sequence in self._held_before_read & self._held.keys():
            self._let_go(sequence)
        self._held_before_read.clear()
        if self._existed_before_read > self.verified:
            self.verified = self._existed_before_read
            self._tails = {subject: tail for subject, tail in self._tails.items() if tail > self.verified}
        out = self._release()
        if self._held:
            self.needs_read = True
        return out

    def restarted(self, last: M) -> FeedMerge[M]:
        """A merge that goes on after `last`, which this one has yielded. For a feed of one literal subject.

        It yields what this one has yielded after `last` once more.
        """
        merge: FeedMerge[M] = FeedMerge(min(self.verified, last.sequence))
        merge.max_held_bytes = self.max_held_bytes
        if last.sequence > merge.verified:
            merge._yielded(last)
        merge.exists(self._exists)
        return merge

    def _let_go(self, sequence: int) -> None:
        self._held_bytes -= self._held.pop(sequence)[1].size

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
                self._let_go(sequence)
            elif previous <= self._tail(message.subject):
                self._let_go(sequence)
                out.append(self._yielded(message))
        return out
