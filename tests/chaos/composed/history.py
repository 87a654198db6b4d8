"""What a chaos run has recorded from outside the node. Plain data: times are unix seconds, of one machine's clock."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

FINAL = frozenset({"delivered", "failed", "cancelled", "expired"})
WAV_HEADER_BYTES = 44

Key = tuple[str, str]
"""Session id and request id."""


def digest(audio: bytes) -> str:
    """A short name of some audio, to compare chunks without keeping them."""
    return hashlib.blake2b(audio, digest_size=12).hexdigest()


@dataclass(slots=True)
class Request:
    """One request, as its sender knows it."""

    session: str
    request: str
    transport: str
    format: str
    text: str
    sent_at: float
    """Before the publish."""
    seq: int | None = None
    """Its sequence, from the publish ack. None: no ack came, so it may or may not be stored."""
    accepted_at: float | None = None
    """When the ack came."""
    refused_at: float | None = None
    """When the node said that it does not store it."""
    ttl_s: float = 60.0
    """If no synth has claimed it for so long, it expires."""
    streamed: bool = False
    """Its text comes in pieces."""
    text_ended: bool = True
    """The writer has stored the whole text. False: it gave up, or the request ended before the text."""
    answer: dict[str, Any] | None = None
    """The final report that a caller got who waited for it."""
    gave_up_at: float | None = None
    """When a caller who waited for the final report ended the wait without one."""
    repeats: list[int] = field(default_factory=list)
    """The sequences of later requests with the same ids; 0: no ack came, so it may or may not be stored."""

    @property
    def key(self) -> Key:
        """Session id and request id."""
        return self.session, self.request


@dataclass(slots=True)
class CancelSent:
    """One cancel: of a whole session, or of one request."""

    session: str
    request: str | None
    sent_at: float
    seq: int | None = None
    """None: no ack came."""
    accepted_at: float | None = None


@dataclass(slots=True)
class ReportSeen:
    """One stored report: its sequence, and when the server stored it."""

    session: str
    request: str
    seq: int
    stored_at: float
    body: dict[str, Any]

    @property
    def key(self) -> Key:
        """Session id and request id."""
        return self.session, self.request

    @property
    def status(self) -> str:
        """The status in the report."""
        return str(self.body["status"])

    @property
    def final(self) -> bool:
        """Whether it is a final report."""
        return self.status in FINAL


@dataclass(slots=True)
class Frame:
    """A frame or POST that OraServer has read.

    `sent_at` is when its last byte had left the bridge, `received_at` when OraServer had read it.
    """

    session: str
    request: str
    kind: str
    """`chunk`, `complete` or `post`."""
    index: int
    """Of a chunk; the number of chunks in `complete`; 0 in a POST."""
    size: int
    digest: str
    sent_at: float
    received_at: float
    bridge: str
    connection: int
    kept: bool = True
    """False: OraServer has confirmed it and discarded it."""
    status: int | None = None
    """Of a POST: what OraServer has answered; None if it died before."""
    held_up: bool = False
    """The connection's bytes were held back before the proxy, so `sent_at` may be late."""

    @property
    def key(self) -> Key:
        """Session id and request id."""
        return self.session, self.request


@dataclass(slots=True)
class StoredAudio:
    """The audio of one request in the stream, as the reader of docs/reference/audio-and-reports.md puts it together."""

    chunks: list[tuple[int, str]]
    """Size and digest of each chunk, in order."""
    end: str | None
    """The status of the accepted `end`, or None."""
    starts: int = 0
    """Attempts of this request."""
    other_attempts: int = 0
    """Attempts of other requests with the same ids that stored audio. A claim that fails leaves a lone `start`."""


@dataclass(slots=True)
class Disturbance:
    """One fault as it was carried out."""

    kind: str
    target: str
    began: float
    ended: float
    detail: str = ""
    lost: list[str] = field(default_factory=list)
    """The streams whose contents are gone."""
    failed: str = ""
    """Why it was not carried out, or not as planned."""


@dataclass(slots=True)
class Usage:
    """Memory and descriptors of a process."""

    process: str
    rss_mb: float
    descriptors: int


@dataclass(slots=True)
class Aftermath:
    """The node after all faults have ended and its idle time is over."""

    requests: int = 0
    cancels: int = 0
    """Messages that TTS_SESSIONS still stores."""
    texts: int = 0
    unacked: dict[str, int] = field(default_factory=dict)
    """Consumer → deliveries without an ack, and messages not delivered."""
    owners_alive: list[str] = field(default_factory=list)
    """Owner records of bridges that are alive."""
    owners_dead: list[str] = field(default_factory=list)
    """Owner records of bridges that are dead."""
    waited_s: float = 0.0
    """How long leftovers had time to go, at most."""
    missing_consumers: list[str] = field(default_factory=list)
    """Consumers of TTS_SESSIONS that do not exist, or of which nothing could be learned."""
    before: list[Usage] = field(default_factory=list)
    after: list[Usage] = field(default_factory=list)
    latency_before_s: list[float] = field(default_factory=list)
    latency_after_s: list[float] = field(default_factory=list)
    broken_rules: dict[str, int] = field(default_factory=dict)
    """Rules of protocol v1 that the reference OraServer saw broken, and how often."""
    unready: list[str] = field(default_factory=list)
    """Processes that are not ready."""


@dataclass(slots=True)
class History:
    """All that a run has recorded."""

    began: float
    requests: list[Request] = field(default_factory=list)
    cancels: list[CancelSent] = field(default_factory=list)
    reports: list[ReportSeen] = field(default_factory=list)
    """Each report that was seen stored, in the order in which they were seen."""
    last_reports: list[ReportSeen] = field(default_factory=list)
    """What is stored at the end."""
    frames: list[Frame] = field(default_factory=list)
    audio: dict[Key, StoredAudio] = field(default_factory=dict)
    """What is stored at the end."""
    disturbances: list[Disturbance] = field(default_factory=list)
    lags: list[tuple[float, float]] = field(default_factory=list)
    """When the recorder itself was late, and by how many seconds: its times may be late by as much."""
    aftermath: Aftermath = field(default_factory=Aftermath)
    settled_at: float = 0.0
    """When the run stopped to wait for final reports."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    rule: str
    session: str
    request: str
    detail: str
