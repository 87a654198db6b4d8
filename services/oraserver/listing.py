"""The answer of `GET /received`, made from the book."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.oraserver.frames import EndedStatus
from services.oraserver.rules import Book
from services.oraserver.store import RecordingStore
from services.oraserver.utterances import ReceivedUtterance, Transport, Violations
from services.oraserver.violations import Rule, StreamRule


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class ViolationCount(_Wire):
    """A broken rule, and how often it was broken with the same detail."""

    rule: Rule | StreamRule
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
    """Of the file as stored, in hex. The header of a complete WAV has its true sizes."""
    text: str
    """The whole text; of an incomplete utterance, what was received of it."""
    texts: list[str]
    """The `text` values of the chunks in order: the whole text, or its sentences if it was a streamed text."""
    engine: str
    language: str
    first_chunk_at: float
    """Unix seconds."""
    completed_at: float | None
    ended: EndedStatus | None
    """The status of its end frame; None if none came, or if it went on after `failed`."""
    sample_rate: int | None
    """Hz, as the metadata say; None if they do not."""
    connections: int
    """How many connections it came on: each resumption after a break adds one. For HTTP: the number of POSTs."""
    violations: list[ViolationCount]


class ReceivedSentence(_Wire):
    """A sentence of an utterance that came over protocol v2."""

    n: int
    ms: int
    """When it begins, in ms of the utterance."""
    text: str
    from_: int | None = Field(None, alias="from")
    to: int | None = None
    """Its code points in the text of the request, without `to`."""
    words: list[tuple[int, int, int, int]] | None = None


class ReceivedStream(Received):
    """One utterance that came over protocol v2: the fields of v1, and more.

    `chunks` and `repeats` are frames of audio with and without new bytes, `connections` counts the connections on
    which it was opened, `file` is what the application has got.
    """

    protocol: Literal["v2"]
    node: str
    seq: int
    format: str
    channels: int
    state: Literal["unfinished", "whole", "cancelled"]
    upto: int
    """All bytes before it are stored, or skipped."""
    size: int | None
    given: int
    """The application has got all bytes before it that were not skipped."""
    skipped: int
    """Bytes."""
    retransmitted_bytes: int
    """Bytes that came more than once, whatever has become of them before."""
    duplicate_bytes: int
    """Of these, bytes that were stored already."""
    opens: int
    breaks: int
    """How often it was opened again."""
    connection_numbers: list[int]
    code: str | None
    """The error code of its `end`."""
    played_ms: int
    play_ended: bool
    sentences: list[ReceivedSentence]


class Connections(_Wire):
    """WebSocket connections since the start of the process."""

    open: int
    total: int


class Listing(_Wire):
    """Everything received; utterances are in the order of their first chunks."""

    utterances: list[Annotated[ReceivedStream | Received, Field(union_mode="left_to_right")]]
    connections: Connections
    violations: int
    """All violations of utterances and of connections, repeated ones included."""
    connection_violations: list[ViolationCount]
    """The violations that belong to no utterance."""
    data_dir: str


def listing(
    book: Book, store: RecordingStore, connections: Connections, session_id: str | None, digests: dict[int, str]
) -> Listing:
    """The listing, only of one session if given. `digests`: SHA-256 by utterance number; a missing one becomes ""."""
    chosen = selected(book, session_id)
    loose = [v for session, v in book.connection_violations.items() if session_id is None or session == session_id]
    return Listing(
        utterances=[_received(u, store.file_name(u.number), digests.get(u.number, "")) for u in chosen],
        connections=connections,
        violations=sum(u.violations.total for u in chosen) + sum(v.total for v in loose),
        connection_violations=[count for v in loose for count in violation_counts(v)],
        data_dir=str(store.data_dir.resolve()),
    )


def selected(book: Book, session_id: str | None) -> list[ReceivedUtterance]:
    """The utterances of the session; all when it is None."""
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
        ended=utterance.ended,
        sample_rate=metadata.sample_rate,
        connections=utterance.connections,
        violations=violation_counts(utterance.violations),
    )


def violation_counts(violations: Violations) -> list[ViolationCount]:
    """The violations by kind."""
    return [ViolationCount(rule=v.rule, detail=v.detail, times=n) for v, n in violations.by_kind.items()]
