"""What `GET /received` answers: the names on the wire, and how they follow from the book."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from services.oraserver.frames import Rule
from services.oraserver.rules import Book
from services.oraserver.store import RecordingStore
from services.oraserver.utterances import ReceivedUtterance, Transport, Violations


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class ViolationCount(_Wire):
    """A broken rule, and how often just so."""

    rule: Rule
    detail: str
    times: int


class Received(_Wire):
    """One utterance."""

    session_id: str
    phone_id: str
    request_id: str
    transport: Transport
    chunks: int
    repeats: int
    bytes: int
    """Audio, before base64."""
    complete: bool
    file: str
    """Name in `dataDir`."""
    sha256: str
    """Of the file as it stands: a complete WAV has its true sizes."""
    text: str
    """All of it; as much as is known of one that is not complete."""
    texts: list[str]
    """What the chunks say that they are, one after the other: the text, or its sentences if it came in pieces."""
    engine: str
    language: str
    first_chunk_at: float
    """Unix seconds."""
    completed_at: float | None
    connections: int
    """1 when it came on one connection; each break and resumption adds one. For HTTP: POSTs."""
    violations: list[ViolationCount]


class Connections(_Wire):
    """WebSocket connections since the start of the process."""

    open: int
    total: int


class Listing(_Wire):
    """Everything received, utterances in the order of their first chunk."""

    utterances: list[Received]
    connections: Connections
    violations: int
    """All, of utterances and of connections, repetitions included; 0 is a clean run."""
    connection_violations: list[ViolationCount]
    """Those that belong to no utterance."""
    data_dir: str


def listing(
    book: Book, store: RecordingStore, connections: Connections, session_id: str | None, digests: dict[int, str]
) -> Listing:
    """The listing, of one session if given. `digests` by number; a missing one is an empty string."""
    chosen = selected(book, session_id)
    loose = [v for session, v in book.connection_violations.items() if session_id is None or session == session_id]
    return Listing(
        utterances=[_received(u, store.file_name(u.number), digests.get(u.number, "")) for u in chosen],
        connections=connections,
        violations=sum(u.violations.total for u in chosen) + sum(v.total for v in loose),
        connection_violations=[count for v in loose for count in _counts(v)],
        data_dir=str(store.data_dir.resolve()),
    )


def selected(book: Book, session_id: str | None) -> list[ReceivedUtterance]:
    """The utterances of the session, or all."""
    return [u for u in book.utterances.values() if session_id is None or u.metadata.session_id == session_id]


def _received(utterance: ReceivedUtterance, file: str, sha256: str) -> Received:
    metadata = utterance.metadata
    return Received(
        session_id=metadata.session_id,
        phone_id=metadata.phone_id,
        request_id=metadata.request_id,
        transport=utterance.transport,
        chunks=len(utterance.chunks),
        repeats=utterance.repeats,
        bytes=utterance.bytes,
        complete=utterance.complete,
        file=file,
        sha256=sha256,
        text=utterance.text,
        texts=utterance.texts,
        engine=metadata.engine,
        language=metadata.language,
        first_chunk_at=utterance.first_chunk_at,
        completed_at=utterance.completed_at,
        connections=utterance.connections,
        violations=_counts(utterance.violations),
    )


def _counts(violations: Violations) -> list[ViolationCount]:
    return [ViolationCount(rule=v.rule, detail=v.detail, times=n) for v, n in violations.by_kind.items()]
