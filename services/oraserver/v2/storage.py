"""Where the store of protocol v2 keeps its events and bytes, and to whom it gives them: the port, and one in memory."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

from services.oraserver.v2.events import BytesStored, StreamEvent


class StreamStorage(Protocol):
    """Keeps events, and stands for the application. Each method raises OSError if it cannot store."""

    def keep(self, event: StreamEvent) -> None:
        """Store an event, the bytes of a BytesStored first."""

    def read(self, number: int, first: int, past: int) -> bytes:
        """The stored bytes of an utterance in this range."""

    def give(self, number: int, first: int, past: int) -> None:
        """Give the application these stored bytes. The event that says so is stored already."""

    def forget(self) -> None:
        """Forget everything; what the application has got stays with it."""


class MemoryStorage:
    """A storage in memory, for tests of the rules."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.given: dict[int, bytearray] = defaultdict(bytearray)
        """By number, what the application has got."""
        self._files: dict[int, bytearray] = defaultdict(bytearray)

    def keep(self, event: StreamEvent) -> None:
        """See StreamStorage."""
        self.events.append(event)
        if isinstance(event, BytesStored):
            file = self._files[event.number]
            file.extend(bytes(max(event.at + event.size - len(file), 0)))
            file[event.at : event.at + event.size] = event.data

    def read(self, number: int, first: int, past: int) -> bytes:
        """See StreamStorage."""
        return bytes(self._files[number][first:past])

    def give(self, number: int, first: int, past: int) -> None:
        """See StreamStorage."""
        self.given[number] += self.read(number, first, past)

    def forget(self) -> None:
        """See StreamStorage."""
        self.events.clear()
        self._files.clear()
