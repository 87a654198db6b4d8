"""Makes the messages of a stream's state (`opened`, `ack`, `played`), and sends acks late, or not, on purpose. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from orastream.contract.oraserver.from_server import (
    MAX_RANGES,
    PlayedUntil,
    Ranges,
    ServerError,
    StreamAck,
    StreamOpened,
)
from orastream.contract.oraserver.wire import WireMessage
from services.oraserver.stream_faults import StreamCounts, StreamMischief
from services.oraserver.v2.stream import PLAYED_S, ReceivingStream, next_round
from services.oraserver.v2.terms import StreamTerms
from services.oraserver.v2.utterance import StreamedUtterance


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection after what was sent before: with a code, or (None) by an abort of TCP."""

    code: int | None


Output = WireMessage | CloseConnection


class StreamAnswers:
    """What one connection sends about its streams."""

    def __init__(self, terms: StreamTerms, mischief: StreamMischief, counts: StreamCounts) -> None:
        self._terms, self._mischief, self._counts = terms, mischief, counts
        self._held: deque[tuple[float, StreamAck]] = deque()

    def raise_limit(self, stream: ReceivingStream) -> None:
        """Let the stream send `credit` bytes beyond what the phone has taken, unless a fault withholds it."""
        utterance = stream.utterance
        if self._mischief.stalls(utterance.begun.phone, stream.number):
            return
        limit = max(utterance.given + self._terms.credit, utterance.upto)
        stream.raised_limit(limit, self._terms.credit)

    def opened(self, stream: ReceivingStream, now: float) -> StreamOpened:
        """The `opened` of a stream."""
        utterance = stream.utterance
        self.raise_limit(stream)
        stream.limit = max(stream.limit, utterance.upto)
        stream.opened_at = None
        stream.sent_end = max(stream.sent_end, utterance.stored.end)
        stream.acknowledged(utterance.upto, now)
        ranges = _ranges(utterance)
        played = utterance.played_ms if self._terms.played else None
        return StreamOpened(stream.number, utterance.upto, stream.limit, ranges, utterance.size, played)

    def ack(self, stream: ReceivingStream, seen: int, now: float) -> list[Output]:
        """An `ack` of a stream; nothing if a fault loses it, or holds it back."""
        utterance = stream.utterance
        self.raise_limit(stream)
        upto, ranges, skipped = utterance.upto, _ranges(utterance), utterance.holes.total
        less = not stream.asked_again and (ranges or upto > stream.upto_sent) and self._mischief.asks_again()
        if less:  # never below an `upto` that was sent before; the true state follows
            upto, ranges = stream.upto_sent, ()
            skipped = utterance.holes.overlap(0, upto) if upto else 0
            self._counts.asked_again += 1
        stream.acknowledged(upto, now)
        stream.asked_again, stream.waits_until = bool(less), next_round(now) if less else None
        self._counts.acks += 1
        if self._mischief.loses_ack():
            self._counts.lost_acks += 1
            return []
        ack = StreamAck(stream.number, upto, stream.limit, seen, ranges, utterance.size, skipped or None)
        if self._held or self._mischief.ack_delay_s:
            last = self._held[-1][0] if self._held else now
            self._held.append((max(now + self._mischief.ack_delay_s, last), ack))
            return []
        return [ack]

    def played(self, stream: ReceivingStream, now: float) -> list[Output]:
        """A `played` if one is due."""
        utterance, due = stream.utterance, self.played_time(stream)
        done = utterance.play_ended
        if due is None or now < due:
            return []
        stream.played_at, stream.played_sent = now, utterance.played_ms
        return [PlayedUntil(stream.number, utterance.played_ms, done)]

    def played_time(self, stream: ReceivingStream) -> float | None:
        """When the next `played` is due; None if there is nothing to say."""
        if stream.utterance.play_ended:
            return 0.0
        return stream.played_at + PLAYED_S if stream.utterance.played_ms > stream.played_sent else None

    def released(self, now: float) -> list[Output]:
        """The acks that were held back long enough."""
        out: list[Output] = []
        while self._held and self._held[0][0] <= now:
            out.append(self._held.popleft()[1])
        return out

    @property
    def next_release(self) -> float | None:
        """When `released` has something."""
        return self._held[0][0] if self._held else None


def _ranges(utterance: StreamedUtterance) -> Ranges:
    """What is stored above `upto`; nothing once the utterance is final: it ends at `upto`."""
    return utterance.stored.above[:MAX_RANGES] if utterance.final is None else ()


def refusal(code: str, message: str, stream: int | None = None, session: str | None = None) -> ServerError:
    """An `error` that leaves the connection open."""
    return ServerError(code, message, stream, session)
