"""Audio that comes live before its delivery begins, kept so that it need not be read from the stream. Bounded. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_SESSION_BYTES = 512 << 10
MAX_PROCESS_BYTES = 64 << 20
OVERHEAD_BYTES = 1024
"""What a message takes besides its payload: headers, strings, the tuple."""

H = TypeVar("H")
Message = tuple[str, str, bytes, H]
"""The arguments of an `OnMessage`: subject, reply subject, payload, headers."""


@dataclass(slots=True)
class EarlyRoom:
    """How many bytes all sessions of a process may still keep."""

    left: int = MAX_PROCESS_BYTES


class EarlyAudio(Generic[H]):
    """The messages of one session's utterances that are not yet delivered, by subject. For one event loop."""

    def __init__(self, room: EarlyRoom, max_bytes: int = MAX_SESSION_BYTES) -> None:
        self._room = room
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: dict[str, list[Message[H]]] = {}

    def __contains__(self, subject: str) -> bool:
        return subject in self._kept

    def begin(self, subject: str) -> None:
        """Keep the messages of this subject from now on. The next one is its first."""
        self.drop(subject)
        self._kept[subject] = []

    def add(self, message: Message[H]) -> None:
        """Keep the message, if its subject was begun. Without room forget the whole subject: it is read later."""
        subject, _, data, _ = message
        if (kept := self._kept.get(subject)) is None:
            return
        size = len(data) + OVERHEAD_BYTES
        if self._bytes + size > self._max_bytes or size > self._room.left:
            self.drop(subject)
            return
        kept.append(message)
        self._count(size)

    def take(self, subject: str) -> list[Message[H]]:
        """Return what was kept of a subject, in order, and forget it and what was begun before it.

        Requests are delivered in the order in which they are spoken, so nobody asks for those before it any more. If
        somebody does, they are read from the stream.
        """
        found: list[Message[H]] = []
        if subject in self._kept:
            for earlier in list(self._kept):
                found = self.drop(earlier)
                if earlier == subject:
                    break
        return found

    def clear(self) -> None:
        """Forget all."""
        for subject in list(self._kept):
            self.drop(subject)

    def drop(self, subject: str) -> list[Message[H]]:
        """Forget what was kept of a subject, and return it."""
        kept = self._kept.pop(subject, [])
        self._count(-sum(len(data) + OVERHEAD_BYTES for _, _, data, _ in kept))
        return kept

    def _count(self, size: int) -> None:
        self._bytes += size
        self._room.left -= size
