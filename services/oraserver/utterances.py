"""The state of an utterance, and the events that change it. Pure, no I/O.

Only events change state, and an event is written to disk before it is applied. So everything that a pong confirms is
there again after a restart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from services.oraserver.frames import EndedStatus
from services.oraserver.metadata import Metadata
from services.oraserver.violations import Violation

Transport = Literal["websocket", "http"]

MAX_DISTINCT_VIOLATIONS = 200


@dataclass(frozen=True, slots=True)
class Begun:
    """The first chunk of utterance `number` was received; `at` is in unix seconds."""

    number: int
    transport: Transport
    file_name: str
    metadata: Metadata
    at: float


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """The next chunk was stored; `crc` is the CRC-32 of its audio and text.

    `audio` is empty in an event read from the journal: the bytes are in the audio file.
    """

    number: int
    size: int
    crc: int
    audio: bytes = b""


@dataclass(frozen=True, slots=True)
class Captioned:
    """The next chunks have another text than those before: that of the next sentence."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """A chunk was received again."""

    number: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The utterance came on another connection than before, or on its first one."""

    number: int


@dataclass(frozen=True, slots=True)
class Completed:
    """The utterance is complete, and the sender has said so; `at` is in unix seconds, `text` is the whole text."""

    number: int
    at: float
    text: str | None = None


@dataclass(frozen=True, slots=True)
class EndReceived:
    """An end frame was received: the sender writes no more of the utterance, and what plays of it must stop."""

    number: int
    status: EndedStatus


@dataclass(frozen=True, slots=True)
class RuleBroken:
    """A rule was broken: by utterance `number`, or (None) by a connection of the session (None if not known)."""

    number: int | None
    session_id: str | None
    violation: Violation


Event = Begun | StoredChunk | Captioned | Repeated | Moved | Completed | EndReceived | RuleBroken


class Violations:
    """How often each violation happened. Only the first MAX_DISTINCT_VIOLATIONS different ones are counted by kind."""

    __slots__ = ("by_kind", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_kind: Counter[Violation] = Counter()

    def add(self, violation: Violation) -> None:
        """Count one violation."""
        self.total += 1
        if violation in self.by_kind or len(self.by_kind) < MAX_DISTINCT_VIOLATIONS:
            self.by_kind[violation] += 1


@dataclass(slots=True)
class ReceivedUtterance:
    """An utterance as received so far, on all its connections."""

    number: int
    """From 1, in the order of the first chunks."""
    transport: Transport
    file_name: str
    """As the sender sent it; must not be used as a path."""
    metadata: Metadata
    first_chunk_at: float
    """Unix seconds."""
    completed_at: float | None = None
    bytes: int = 0
    """Audio, before base64."""
    repeats: int = 0
    connections: int = 0
    """How often it came on another connection than before; 1 after the first chunk."""
    chunks: list[tuple[int, int]] = field(default_factory=list)
    """Size and CRC-32 of each chunk: to compare repeats without holding the audio (misses 1 in 2³²)."""
    texts: list[str] = field(default_factory=list)
    """The different `text` values of the chunks, in order."""
    whole_text: str | None = None
    """The `text` of `complete`; None before it."""
    violations: Violations = field(default_factory=Violations)
    carrier: object = None
    """The connection on which the last chunk or `complete` came."""
    ended: EndedStatus | None = None
    """The status of its end frame; None again when it goes on after `failed`."""
    ended_on: object = None
    """The connection on which the end frame came."""
    stopped: bool = False
    """An end frame of an earlier utterance came after its first chunk: it must end, too."""

    @classmethod
    def begin(cls, event: Begun) -> ReceivedUtterance:
        """A new utterance, without its first chunk."""
        texts = [event.metadata.text]
        return cls(event.number, event.transport, event.file_name, event.metadata, event.at, texts=texts)

    @property
    def complete(self) -> bool:
        """Whether the sender has sent a correct `complete`."""
        return self.completed_at is not None

    @property
    def text(self) -> str:
        """The whole text, or what was received of it."""
        return " ".join(self.texts) if self.whole_text is None else self.whole_text

    @property
    def sender(self) -> tuple[str, str]:
        """Session and phone: with the same ones, utterances must come one after the other."""
        return self.metadata.session_id, self.metadata.phone_id

    @property
    def key(self) -> tuple[str, str]:
        """Session and request, which identify it on all connections."""
        return self.metadata.session_id, self.metadata.request_id

    @property
    def over(self) -> bool:
        """Whether nothing of it may come any more on the connection of the last frame.

        After `failed` another bridge may go on over another connection; a cancel is stored, so every bridge knows it.
        """
        return self.ended == "cancelled" or (self.ended is not None and self.ended_on is self.carrier)

    def apply(self, event: StoredChunk | Captioned | Repeated | Moved | Completed | EndReceived) -> None:
        """Apply an event."""
        if isinstance(event, StoredChunk):
            self.ended = None
            self.chunks.append((event.size, event.crc))
            self.bytes += event.size
        elif isinstance(event, Captioned):
            self.texts.append(event.text)
        elif isinstance(event, Repeated):
            self.repeats += 1
        elif isinstance(event, Moved):
            self.connections += 1
        elif isinstance(event, EndReceived):
            self.ended = event.status
        else:
            self.ended = None
            self.completed_at, self.whole_text = event.at, event.text
