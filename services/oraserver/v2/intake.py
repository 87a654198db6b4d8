"""Takes the frames of a stream that is open: checks them and stores what is new. Pure."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

from orastream.contract.oraserver.from_bridge import AudioRange, SentenceText, StreamEnd
from services.oraserver.stream_faults import StreamCounts, StreamMischief
from services.oraserver.v2 import checks
from services.oraserver.v2.protocol_error import ProtocolBroken
from services.oraserver.v2.store import Store
from services.oraserver.v2.stream import ReceivingStream
from services.oraserver.v2.terms import StreamTerms
from services.oraserver.violations import Violation

LARGE_FRAME_BYTES = 16 << 10


class StreamIntake:
    """The part of a connection that fills the store."""

    def __init__(self, store: Store, terms: StreamTerms, mischief: StreamMischief, counts: StreamCounts) -> None:
        self._store, self._terms, self._mischief, self._counts = store, terms, mischief, counts

    def take(
        self,
        stream: ReceivingStream,
        message: AudioRange | SentenceText | StreamEnd,
        competing: Callable[[], bool],
        now: float,
    ) -> None:
        """Take a frame. `competing`: whether several streams of the connection send. Raises ProtocolBroken."""
        if isinstance(message, AudioRange):
            if len(message.data) > LARGE_FRAME_BYTES and competing():
                self._counts.large_frames += 1
            self._audio(stream, message, now)
        elif isinstance(message, SentenceText):
            self._sentence(stream, message, now)
        else:
            self._end(stream, message, now)

    def _audio(self, stream: ReceivingStream, message: AudioRange, now: float) -> None:
        utterance, size = stream.utterance, len(message.data)
        past = message.at + size
        knows_limit = stream.fresh or stream.opened_at is None
        if past > stream.limit and knows_limit:
            raise ProtocolBroken("v2-limit", f"audio up to {past}, the limit is {stream.limit}", stream)
        if utterance.end is not None and past > utterance.end.size:
            raise ProtocolBroken("v2-size", f"audio up to {past}, the size is {utterance.end.size}", stream)
        for problem in checks.audio(stream, message):
            self._broken(stream, problem)
        self._counts.audio_frames += 1
        self._counts.audio_bytes += size
        again = utterance.arrived.overlap(message.at, past)
        if again:
            stored = utterance.stored.overlap(message.at, past)
            self._counts.retransmitted_bytes += again
            self._counts.duplicate_bytes += stored
            self._store.add_repeat(utterance, again, stored)
        utterance.arrived.add(message.at, past)
        stream.due = stream.due or not stream.own_end  # the bridge learns how quick the connection is
        stream.sent_end, stream.own_end = max(stream.sent_end, past), max(stream.own_end, past)
        stream.last_mark_ms = max(stream.last_mark_ms, -1 if message.ms is None else message.ms)
        stream.took(size, now)
        if self._arrives(stream, message):
            self._keep(stream, message, now)

    def _arrives(self, stream: ReceivingStream, message: AudioRange) -> bool:
        """Whether the frame can be stored: no fault drops it, and its checksum matches."""
        size, needs = len(message.data), self._terms.crc
        fate = self._mischief.audio(needs and message.crc is not None)
        if fate == "drop":
            self._counts.dropped_frames += 1
            self._counts.dropped_bytes += size
            return False
        data = self._mischief.damaged(message.data) if fate == "damage" else message.data
        if not needs:
            return True
        if message.crc is None:
            self._broken(stream, Violation("v2-crc", "audio without a checksum"))
            return True
        if crc32(data) == message.crc:
            return True
        stream.due = True
        if fate == "damage":
            self._counts.damaged_frames += 1
            self._counts.damaged_bytes += size
        else:
            self._counts.bad_crc_frames += 1
            self._broken(stream, Violation("v2-crc", "the checksum does not match"))
        return False

    def _keep(self, stream: ReceivingStream, message: AudioRange, now: float) -> None:
        utterance = stream.utterance
        gaps, had = len(utterance.stored.above), utterance.stored.total
        if self._store.add_audio(utterance, message, message.data, now):
            detail = f"bytes from {message.at} on came with another value"
            self._broken(stream, Violation("v2-bytes-differ", detail))
        if len(utterance.stored.above) != gaps or utterance.final is not None:
            stream.due = True
        if self._mischief.stored(utterance.stored.total - had):
            self._counts.forgotten += 1
            self._store.forget()

    def _sentence(self, stream: ReceivingStream, message: SentenceText, now: float) -> None:
        if stream.ended:
            self._broken(stream, Violation("v2-after-end", f"sentence {message.number} after end"))
        else:
            for problem in checks.sentence(stream, message):
                self._broken(stream, problem)
        stream.last_sentence = max(stream.last_sentence, (message.number, message.ms))
        stream.took(0, now)
        self._store.add_sentence(stream.utterance, message)

    def _end(self, stream: ReceivingStream, message: StreamEnd, now: float) -> None:
        utterance = stream.utterance
        if utterance.end is not None and utterance.end.size != message.size:
            detail = f"end with size {message.size}, after one with {utterance.end.size}"
            raise ProtocolBroken("v2-size", detail, stream)
        if stream.ended:
            self._broken(stream, Violation("v2-after-end", "a second end"))
        for problem in checks.ending(stream, message):
            self._broken(stream, problem)
        if utterance.stored.end > message.size and utterance.final is None:
            detail = f"end with size {message.size}, but {utterance.stored.end} bytes were sent"
            raise ProtocolBroken("v2-size", detail, stream)
        stream.ended = stream.due = True
        stream.took(0, now)
        self._store.add_end(utterance, message, now)

    def _broken(self, stream: ReceivingStream, violation: Violation) -> None:
        utterance = stream.utterance
        self._store.report(violation, utterance.number, utterance.begun.session)
