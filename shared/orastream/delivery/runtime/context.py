"""Objects that all sessions of a bridge share, and those that all parts of one session share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from orastream.base.batch import Batch
from orastream.contract.messages import Report, Status, Transport
from orastream.delivery.rules.early_audio import EarlyRoom
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.runtime.background import Background
from orastream.delivery.runtime.end_frames import EndFrames
from orastream.delivery.runtime.links import Links
from orastream.delivery.runtime.ownership import Lease, Owners
from orastream.delivery.runtime.progress_publisher import ProgressPublisher, SessionProgress
from orastream.delivery.runtime.report_mark import ReportMark
from orastream.delivery.runtime.session_audio import SessionAudio
from orastream.delivery.runtime.wakeups import HeldCount
from orastream.delivery.sink import Sink
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore


class DeliveryCounts(Protocol):
    """The counters of a bridge. Each method adds one event."""

    def chunk_written(self, size_bytes: int) -> None:
        """A chunk with `size_bytes` bytes of audio was written to OraServer."""
        ...

    def link_lost(self) -> None:
        """A link to OraServer broke, or could not be opened."""
        ...

    def retransmitted(self, chunks: int) -> None:
        """A delivery ended in which `chunks` chunks were written again."""
        ...

    def taken_over(self) -> None:
        """A session was taken from an owner that had not released it."""
        ...

    def ended(self, status: Status) -> None:
        """The bridge wrote a final report with status `status`."""
        ...

    def used(self, report: Report) -> None:
        """The process has stored that final report."""
        ...


@dataclass(frozen=True, slots=True)
class BridgeContext:
    """The shared objects and settings of one bridge process."""

    js: JetStream
    kind: str
    sink: Sink
    lease: Lease
    owners: Owners
    mark: ReportMark
    held: HeldCount
    deletions: Batch
    early: EarlyRoom
    max_text_chars: int
    counts: DeliveryCounts
    announce: Callable[[str, Entry, Report | None], None]
    """Logs that an utterance begins (`begins`) or has ended (`ended`), with its entry and report."""
    progress: ProgressPublisher | None
    """Publishes live progress; None for a bridge that delivers whole files."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The shared objects of one owned session. Used from its loop only."""

    bridge: BridgeContext
    epoch: int
    """The epoch of this ownership."""
    reports: ReportStore
    audio: SessionAudio
    links: Links
    fallback: Transport | None
    """The transport of `links` if it is the fallback."""
    background: Background
    wake: Callable[[], None]
    """Runs a round of the session's loop: audio has come, or the link has room."""
    may_write: Callable[[], bool]
    """Whether the lease allows to write to OraServer at this moment."""
    ends: EndFrames
    listener: Listener
    """The session's listener."""
    heard: HeardBook | None
    """What the listener hears; None over HTTP if that is not recorded."""
    progress: SessionProgress | None
    """Publishes the live progress of the session's utterances; None over HTTP."""
