"""A request that waits in a synth's queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from orastream.contract.caller import UNKNOWN, caller_of
from orastream.contract.names import Names
from orastream.contract.stored_requests import StoredRequest, outline_of, read_message
from orastream.jetstream.pull_consumer import Delivery
from services.synth.settings import SynthSettings


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A delivery, and what the queue must know of its request."""

    session: str
    """The subject token of its session."""
    delivery: Delivery
    expires_at_s: float
    """When its ttl ends, in unix seconds of the server's clock."""
    streams_text: bool
    """Whether its text is still being written."""
    heard_live: bool
    """Whether its listener hears the audio while it is made."""
    read: Callable[[], StoredRequest] = field(repr=False)
    """Reads the whole request; `stored` calls it once."""
    judging: bool = False
    """`LoadReport.hopeless` has returned it, and it is not decided yet whether it ends: it must stay in the queue."""
    caller: str = UNKNOWN
    """Who sent it; see `contract/caller.py`."""
    supersedes: bool = False
    """Whether it asks to cancel the earlier requests of its session. Perhaps in vain; see `contract/superseding.py`."""
    claimed: bool = False
    """It was claimed before, by a synth that is gone: its ttl does not count, and it comes first."""
    _stored: StoredRequest | None = field(default=None, repr=False)

    @property
    def stored(self) -> StoredRequest:
        """The whole request, read at the first use: to check SSML of 5000 characters takes 4 ms."""
        if self._stored is None:
            self._stored = self.read()
        return self._stored


def queued_request(session: str, delivery: Delivery, names: Names, settings: SynthSettings) -> QueuedRequest:
    """Reads the parts of the payload that the queue needs. Never raises for a bad payload.

    Cheap: a queue takes hundreds of requests at a time, and those that it cannot keep again and again.
    """

    def read() -> StoredRequest:
        stored = read_message(delivery, names, max_text_chars=settings.tts_max_text_chars)
        assert isinstance(stored, StoredRequest), "the consumer's filter lets only requests through"
        return stored

    outline = outline_of(delivery)
    transport = outline.stated_transport or settings.default_transport
    return QueuedRequest(
        session,
        delivery,
        delivery.time_s + outline.ttl_s,
        outline.streams_text,
        transport == "websocket",
        read,
        caller=caller_of(delivery.subject.rpartition(".")[2], delivery.stated_caller),
        supersedes=outline.supersedes,
    )
