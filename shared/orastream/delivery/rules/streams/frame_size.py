"""How large the next frame of a stream is. Pure.

OraServer can play a frame only when it has the whole of it, so a listener without audio gets small ones. Large ones
cost less. The size follows from how much audio the listener has, and so needs no state that could oscillate.
"""

from __future__ import annotations

from typing import NamedTuple

FIRST_S = 0.08
"""Seconds of audio in a frame for a listener that has none."""
QUICK_S = 0.02
"""A frame that the connection surely carries in so many seconds is never too large."""
START_S = 1.0
"""Below so many seconds of audio, frames are small while the rate of the connection is not known."""
MIN_BYTES = 512
SIMPLE_BYTES = 4 << 10
"""Frames of a sender that knows nothing: with smaller ones a slow connection only carries more headers."""
COMPETING_BYTES = 16 << 10
"""The largest frame while other streams of the connection have something to send."""


class SendingView(NamedTuple):
    """What the size of a frame depends on."""

    lead_s: float
    """Seconds of audio that were sent and that the listener has not played."""
    ack_s: float
    """Seconds from a frame to its ack, smoothed; 0 before the first one."""
    link_bytes_per_s: float | None
    """What the connection has carried while it was busy; None if that is not known."""
    surely_bytes_per_s: float
    """What the connection has carried at least, busy or not."""
    audio_bytes_per_s: float
    max_bytes: int
    max_lead_s: float
    """How far ahead of the listener the bridge may send."""
    competing: bool
    """Whether other streams have something to send."""


def largest_frame_bytes(max_bytes: int, *, competing: bool) -> int:
    """Return the largest size of a frame, and its size if nobody listens before the end."""
    return min(max_bytes, COMPETING_BYTES) if competing else max_bytes


def next_frame_bytes(view: SendingView) -> int:
    """Return the largest size of the next frame in bytes, or 0: wait, because the listener has enough.

    Sizes follow the audio that the listener surely has: a frame plays as long, half as long if the rate of the
    connection is not known, and twice as long when the listener has much and acks are quick. It takes at most half of
    that time to send. At the start, and if the connection is slower than the audio, frames are as those of a simple
    sender: large ones would come too late. But no frame is smaller than what the connection carries in QUICK_S.
    """
    if view.lead_s >= view.max_lead_s:
        return 0
    limit = largest_frame_bytes(view.max_bytes, competing=view.competing)
    quick = QUICK_S * view.surely_bytes_per_s
    if quick >= limit:
        return limit
    audio, link = view.audio_bytes_per_s, view.link_bytes_per_s
    safe_s = max(view.lead_s - view.ack_s, 0.0)
    growth = min(max(view.lead_s / (4 * max(view.ack_s, 1.0)), 0.5 if link is None else 1.0), 2.0)
    size, least = safe_s * audio * growth, MIN_BYTES
    if link is not None:
        size = min(size, safe_s / 2 * link)
        least = SIMPLE_BYTES if link < audio else MIN_BYTES
    else:
        started = view.lead_s >= START_S and view.ack_s > 0
        size = max(size if started else 0.0, min(view.lead_s * audio, SIMPLE_BYTES))
    size = max(size, FIRST_S * min(audio, link or audio), quick)
    return max(min(int(size), limit), min(least, limit))
