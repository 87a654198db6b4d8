"""A stream of one connection: what came on it, and when its next `ack` is due. Pure; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from services.oraserver.v2.utterance import StreamedUtterance

ACK_S = 0.25
"""From a frame to its `ack`, at most. The acks of all streams that are due in this time are sent together."""
ACK_BYTES = 64 << 10
"""Audio after which an `ack` is sent, at most."""
IDLE_ACK_S = 2.0
"""From an `ack` to the next one of an unfinished stream, at most."""
OPENED_HOLD_S = 0.005
"""How long `opened` waits, unless the stream is fresh: audio that comes before it was sent too early."""
PLAYED_S = 0.25
"""From a `played` to the next one, at least."""


def next_round(now: float) -> float:
    """When the acks of the frames that come now are sent: at multiples of ACK_S, so that many go together."""
    return (now // ACK_S + 1) * ACK_S


class StreamPhase(Enum):
    """What has become of a stream."""

    OPEN = "its frames are stored, and acknowledged"
    SUPERSEDED = "a later `open` of the session has ended it: its frames are ignored"
    CANCELLED = "a `cancel` on another connection has ended it: its frames are ignored"
    CANCELLED_HERE = "a `cancel` on this connection has ended it: nothing more may come of it"
    REFUSED = "it was answered with `error`: its frames are ignored"


@dataclass(slots=True, eq=False)
class ReceivingStream:
    """The state of one stream. `Store` may change its phase, all else belongs to its connection."""

    number: int
    utterance: StreamedUtterance
    fresh: bool
    limit: int
    """The highest limit that the bridge can know; it never falls."""
    phase: StreamPhase = StreamPhase.OPEN
    opened_at: float | None = None
    """When `opened` is due; None once it is sent."""
    acked_limit: int = 0
    """The limit of the last `ack` or `opened`."""
    upto_sent: int = 0
    """The `upto` of the last `ack` or `opened`."""
    last_ack: float = 0.0
    unacked_bytes: int = 0
    waits_until: float | None = None
    """When an `ack` is due because a frame came after the last one; None if none came."""
    due: bool = False
    """An `ack` is due at once."""
    asked_again: bool = False
    """The last `ack` said less than what is stored, on purpose."""
    sent_end: int = 0
    """The highest offset that came on this stream, or was stored when it was opened."""
    own_end: int = 0
    """The highest offset that came on this stream."""
    last_mark_ms: int = -1
    """The highest `ms` of audio that came on this stream."""
    last_sentence: tuple[int, int] = (-1, 0)
    """Number and time of the last sentence that came on this stream."""
    ended: bool = False
    """Its `end` has come."""
    played_at: float = 0.0
    played_sent: int = 0

    @property
    def unfinished(self) -> bool:
        """Whether the bridge still waits for a final `ack`."""
        return self.phase is StreamPhase.OPEN and self.utterance.final is None

    def took(self, size: int, now: float) -> None:
        """Note a frame that has no `ack` yet, with so many bytes of audio."""
        if self.waits_until is None:
            self.waits_until = next_round(now)
        self.unacked_bytes += size

    def raised_limit(self, limit: int, credit: int) -> None:
        """Note what the bridge may send now."""
        if limit > self.limit:
            self.limit = limit
        if self.limit - self.acked_limit >= max(credit // 4, 1):
            self.due = True

    def ack_time(self) -> float | None:
        """When the next `ack` is due; None if none is."""
        if self.phase is not StreamPhase.OPEN or self.opened_at is not None:
            return None
        if self.due or self.unacked_bytes >= ACK_BYTES:
            return 0.0
        if self.waits_until is not None:
            return self.waits_until
        return self.last_ack + IDLE_ACK_S if self.unfinished else None

    def acknowledged(self, upto: int, now: float) -> None:
        """Note that an `ack` (or `opened`) with this `upto` and the present limit is sent."""
        self.upto_sent, self.acked_limit = max(upto, self.upto_sent), self.limit
        self.utterance.acked = max(self.utterance.acked, upto)
        self.last_ack, self.unacked_bytes, self.waits_until, self.due = now, 0, None, False
