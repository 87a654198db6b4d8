"""A request that waits in a synth's queue."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.caller import UNKNOWN, caller_of
from orastream.contract.messages import Transport
from orastream.contract.stored_requests import outline_of
from orastream.jetstream.pull_consumer import Delivery


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A delivery, and what the queue must know of its request."""

    session: str
    delivery: Delivery
    expires_at_s: float
    """When its ttl ends, in unix seconds of the server's clock."""
    streams_text: bool
    """Whether its text is still being written."""
    heard_live: bool
    """Whether its listener hears the audio while it is made."""
    judging: bool = False
    """`LoadReport.hopeless` has returned it, and it is not decided yet whether it ends: it must stay in the queue."""
    caller: str = UNKNOWN
    """Who sent it; see `contract/caller.py`."""
    supersedes: bool = False
    """Whether it asks to cancel the earlier requests of its session. Perhaps in vain; see `contract/superseding.py`."""
    claimed: bool = False
    """It was claimed before, by a synth that is gone: its ttl does not count, and it comes first."""


def queued_request(session: str, delivery: Delivery, default_transport: Transport) -> QueuedRequest:
    """Reads the parts of the payload that the queue needs. Never raises for a bad payload."""
    outline = outline_of(delivery)
    transport = outline.stated_transport or default_transport
    return QueuedRequest(
        session,
        delivery,
        delivery.time_s + outline.ttl_s,
        outline.streams_text,
        transport == "websocket",
        caller=caller_of(delivery.subject.rpartition(".")[2], delivery.stated_caller),
        supersedes=outline.supersedes,
    )
