"""What all sessions of a bridge share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from orastream.contract.messages import Report, Status
from orastream.delivery.rules.entry import Entry
from orastream.delivery.runtime.ownership import Lease, Owners
from orastream.delivery.sink import Sink
from orastream.jetstream.api import JetStream


class DeliveryCounts(Protocol):
    """What a bridge counts."""

    def chunk_written(self, size_bytes: int) -> None:
        """A chunk was written to OraServer; the size is that of its audio."""
        ...

    def link_lost(self) -> None:
        """A link to OraServer broke, or could not be opened."""
        ...

    def retransmitted(self, chunks: int) -> None:
        """A delivery is over in which that many chunks were written again."""
        ...

    def taken_over(self) -> None:
        """A session was taken from an owner that had died."""
        ...

    def ended(self, status: Status) -> None:
        """A final report was written by this bridge."""
        ...


@dataclass(frozen=True, slots=True)
class BridgeContext:
    """Made once by the bridge."""

    js: JetStream
    kind: str
    sink: Sink
    lease: Lease
    owners: Owners
    max_text_chars: int
    counts: DeliveryCounts
    announce: Callable[[str, Entry, Report | None], None]
    """Says in the log that an utterance begins or has ended, in the bridge's own words."""
