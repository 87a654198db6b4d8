"""What all sessions of a bridge share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from orastream.contract.messages import Report
from orastream.delivery.rules.entry import Entry
from orastream.delivery.runtime.ownership import Lease, Owners
from orastream.delivery.sink import Sink
from orastream.jetstream.api import JetStream


@dataclass(frozen=True, slots=True)
class BridgeContext:
    """Made once by the bridge."""

    js: JetStream
    kind: str
    transport: Literal["websocket", "http"]
    sink: Sink
    lease: Lease
    owners: Owners
    max_text_chars: int
    observe: Callable[[str, float], None]
    """Counts an event by name: chunk (bytes), reconnect, retransmitted (chunks), takeover, and each final status."""
    announce: Callable[[str, Entry, Report | None], None]
    """Says in the log that an utterance begins or has ended, in the bridge's own words."""
