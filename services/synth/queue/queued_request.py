"""A request that waits in a synth's queue."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.names import Names
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.pull_consumer import Delivery
from services.synth.settings import SynthSettings


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A delivery, and what the queue must know of its request."""

    stored: StoredRequest
    delivery: Delivery
    expires_at_s: float
    """When its ttl ends, in unix seconds of the server's clock."""
    streams_text: bool
    """Whether its text is still being written."""
    heard_live: bool
    """Whether its listener hears the audio while it is made."""
    judging: bool = False
    """`LoadReport.hopeless` has returned it, and it is not decided yet whether it ends: it must stay in the queue."""
    supersedes: bool = False
    """Whether it asks to cancel the earlier requests of its session. Perhaps in vain; see `contract/superseding.py`."""
    claimed: bool = False
    """It was claimed before, by a synth that is gone: its ttl does not count, and it comes first."""

    @property
    def session(self) -> str:
        """The subject token of its session."""
        return self.stored.session

    @property
    def caller(self) -> str:
        """Who sent it; see `contract/caller.py`."""
        return self.stored.caller


def queued_request(delivery: Delivery, names: Names, settings: SynthSettings) -> QueuedRequest:
    """Reads a delivered request. Never raises for a bad payload."""
    stored = read_message(delivery, names, max_text_chars=settings.tts_max_text_chars)
    assert isinstance(stored, StoredRequest), "the consumer's filter lets only requests through"
    request = stored.request
    transport = stored.stated_transport or settings.default_transport
    return QueuedRequest(
        stored,
        delivery,
        stored.stored_at_s + stored.ttl_s,
        request is not None and request.text_stream,
        transport == "websocket",
        supersedes=request is not None and request.supersede,
    )
