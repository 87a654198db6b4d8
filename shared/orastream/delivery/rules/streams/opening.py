"""What is said about an utterance when a stream is opened for it. Pure; monotonic seconds."""

from __future__ import annotations

from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.streams.stream_terms import StreamRequest
from orastream.delivery.rules.utterance_effects import DeliveryRules, OpenUtterance

OLD_SHARE = 3
"""Delivery waits for no listener any more when a third of the time for which audio is stored has passed: the rest must
be sent before it is deleted."""


def stream_request(entry: Entry, epoch: int, effect: OpenUtterance, rules: DeliveryRules) -> StreamRequest:
    """Return the request of a stream for a valid stored request. `epoch` is that of its owner."""
    stored = entry.stored
    assert (request := stored.request) is not None, "only a valid request is delivered"
    waits = request.fire_and_forget is False  # its caller waits for the end
    return StreamRequest(
        session=request.session_id,
        phone=request.phone_id,
        request=stored.request_id,
        seq=entry.sequence,
        epoch=epoch,
        start=effect.start,
        acked=effect.acked,
        fresh=effect.fresh,
        paced_until=float("-inf") if waits else entry.asked_at + rules.audio_retention_s / OLD_SHARE,
    )
