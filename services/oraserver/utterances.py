"""What is known of an utterance, and the events that change it. Pure, no I/O.

State changes only by events, and an event is kept (written) before it is applied: what a pong confirms is therefore
what a restart finds again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from services.oraserver.frames import Metadata, Violation

Transport = Literal["websocket", "http"]

MAX_DISTINCT_VIOLATIONS = 200


@dataclass(frozen=True, slots=True)
class Begun:
    """The first chunk of utterance `number` came; `at` in unix seconds."""

    number: int
    transport: Transport
    file_name: str
    metadata: Metadata
    at: float


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """The next chunk; `crc` is of its audio and text.

    `audio` is empty when the event is read back: the bytes are in the file.
    """

    number: int
    size: int
    crc: int
    audio: bytes = b""


@dataclass(frozen=True, slots=True)
class Captioned:
    """The chunks from here on have another text than those before: that of the next sentence."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """A chunk came that was stored before."""

    number: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The utterance came on a connection, for the first time or again after a break."""

    number: int


@dataclass(frozen=True, slots=True)
class Completed:
    """The sender said that the utterance is whole, and it is; `at` in unix seconds, `text` of all of it."""

    number: int
    at: float
    text: str | None = None


@dataclass(frozen=True, slots=True)
class BrokenOffUtterance:
    """A rule was broken: by utterance `number`, or (None) by a connection of the session as far as that is known."""

    number: int | None
    session_id: str | None
    violation: Violation


Event = Begun | StoredChunk | Captioned | Repeated | Moved | Completed | BrokenOffUtterance


class Violations:
    """How often each violation happened; only the first `MAX_DISTINCT_VIOLATIONS` different ones are kept by name."""

    __slots__ = ("by_kind", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_kind: Counter[Violation] = Counter()

    def add(self, violation: Violation) -> None:
        """Count one."""
        self.total += 1
        if violation in self.by_kind or len(self.by_kind) < MAX_DISTINCT_VIOLATIONS:
            self.by_kind[violation] += 1


@dataclass(slots=True)
class ReceivedUtterance:
    """One utterance as received so far, over all its connections."""

    number: int
    """From 1, in the order of first chunks."""
    transport: Transport
    file_name: str
    """As the sender wrote it: never a path."""
    metadata: Metadata
    first_chunk_at: float
    """Unix seconds."""
    completed_at: float | None = None
    bytes: int = 0
    """Audio, before base64."""
    repeats: int = 0
    connections: int = 0
    """How often it came on a connection that had not carried it just before."""
    chunks: list[tuple[int, int]] = field(default_factory=list)
    """Size and CRC-32 of each chunk: tells a repeat from another one (but for one in 2³²) without keeping the audio."""
    texts: list[str] = field(default_factory=list)
    """What the chunks say that they are, one after the other."""
    whole_text: str | None = None
    """What `complete` says."""
    violations: Violations = field(default_factory=Violations)
    carrier: object = None
    """The connection that it came on last."""

    @classmethod
    def begin(cls, event: Begun) -> ReceivedUtterance:
        """The utterance before its first chunk."""
        texts = [event.metadata.text]
        return cls(event.number, event.transport, event.file_name, event.metadata, event.at, texts=texts)

    @property
    def complete(self) -> bool:
        """Whether the sender has said so, rightly."""
        return self.completed_at is not None

    @property
    def text(self) -> str:
        """All of it, or as much as is known."""
        return " ".join(self.texts) if self.whole_text is None else self.whole_text

    @property
    def sender(self) -> tuple[str, str]:
        """Session and phone: within these, utterances come one after the other."""
        return self.metadata.session_id, self.metadata.phone_id

    @property
    def key(self) -> tuple[str, str]:
        """Session and request: what it is known by, over all connections."""
        return self.metadata.session_id, self.metadata.request_id

    def apply(self, event: StoredChunk | Captioned | Repeated | Moved | Completed) -> None:
        """Change as the event says."""
        if isinstance(event, StoredChunk):
            self.chunks.append((event.size, event.crc))
            self.bytes += event.size
        elif isinstance(event, Captioned):
            self.texts.append(event.text)
        elif isinstance(event, Repeated):
            self.repeats += 1
        elif isinstance(event, Moved):
            self.connections += 1
        else:
            self.completed_at, self.whole_text = event.at, event.text
