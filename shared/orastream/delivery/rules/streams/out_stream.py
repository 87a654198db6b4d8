"""One stream of protocol v2, as the bridge sends it. Pure; monotonic seconds.

The connection (`multiplex.py`) calls `sendable` and `take`; the link offers audio as it is read, and looks at `state`.
"""

# length: one state machine; its events and decisions use the same state

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from zlib import crc32

from orastream.contract.oraserver.byte_ranges import ByteRanges
from orastream.contract.oraserver.from_bridge import AudioRange, SentenceText, StreamEnd, StreamEndStatus
from orastream.contract.oraserver.from_server import MAX_RANGES, StreamAck, StreamOpened
from orastream.contract.oraserver.wire import MAX_INT
from orastream.delivery.rules.streams.file_window import FileWindow
from orastream.delivery.rules.streams.frame_size import (
    SendingView,
    largest_frame_bytes,
    next_frame_bytes,
)
from orastream.delivery.rules.streams.in_flight import InFlight
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.resend_pace import ResendPace
from orastream.delivery.rules.streams.stream_terms import (
    FINAL,
    SILENT_S,
    STUCK_S,
    LinkPace,
    SendingLimits,
    StreamFault,
    StreamRequest,
    StreamState,
)


@dataclass(slots=True, eq=False)
class OutStream:
    """The state of one stream. `number` is its `s`, 0 before it was opened."""

    request: StreamRequest
    listener: Listener
    limits: SendingLimits
    bytes_per_s: float
    """Bytes of a second of audio, about."""

    state: StreamState = field(init=False, default=StreamState.WAITING)
    fault: StreamFault | None = field(init=False, default=None)
    number: int = field(init=False, default=0)
    opened_upto: int | None = field(init=False, default=None)
    """Where to go on, once it is known: bytes before it need not be offered."""
    upto: int = field(init=False, default=0)
    """All bytes before it are stored by OraServer."""
    retransmitted_bytes: int = field(init=False, default=0)
    skipped_bytes: int = field(init=False, default=0)
    _sent_s: float = field(init=False, default=0.0)
    """`sent_s` of a stream that is over."""
    """Bytes that OraServer has left out, as it says."""
    answer_due: float | None = field(init=False, default=None)
    """When the stream breaks without an answer of OraServer; None while none is expected."""
    waits_since: float = field(init=False, default=0.0)
    """Since when it waits to be opened."""
    moved_at: float = field(init=False, default=0.0)
    """When OraServer last had one more byte, or nothing was left to send."""
    ended_at: float | None = field(init=False, default=None)
    """When `end` was sent."""
    not_before: float = field(init=False, default=0.0)
    """When it may be opened: OraServer was busy."""
    busy_since: float | None = field(init=False, default=None)
    queued: bool = field(init=False, default=False)
    """Whether it has its place among the streams that have something to send."""
    wakes_at: float | None = field(init=False, default=None)
    """When the connection looks at it again, because its listener has played some audio; None if it need not."""
    deficit: int = field(init=False, default=0)
    """Bytes that it may send before the next stream has its turn."""

    _window: FileWindow = field(init=False)
    _texts: deque[tuple[int, SentenceText]] = field(init=False, default_factory=deque)
    """Sentences to send, with the offset before whose byte they are due."""
    _next: int = field(init=False, default=0)
    """The first byte that was not sent over this stream and that OraServer has not said to have."""
    _stored: ByteRanges = field(init=False, default_factory=ByteRanges)
    """What OraServer has above `_next`, from an earlier stream."""
    _limit: int = field(init=False, default=0)
    _credit: int = field(init=False, default=0)
    """What OraServer gives a new stream."""
    _seen: int = field(init=False, default=0)
    """The highest `seen` of an ack of this stream."""
    _acked: int = field(init=False, default=0)
    """Bytes that OraServer has, those of ranges included."""
    _highest: int = field(init=False, default=0)
    """The end of the last byte that OraServer has had."""
    _listed: ByteRanges = field(init=False, default_factory=ByteRanges)
    """What OraServer has above `upto`, as it has said last. It may drop that again."""
    _may_have_more: bool = field(init=False, default=False)
    """Whether OraServer may have more from an earlier stream than `opened` could list."""
    _size: int | None = field(init=False, default=None)
    """The size that OraServer has said to know."""
    _lost: ByteRanges = field(init=False, default_factory=ByteRanges)
    _resend: ResendPace = field(init=False, default_factory=ResendPace)
    _flight: InFlight = field(init=False, default_factory=InFlight)
    _end: StreamEnd | None = field(init=False, default=None)
    """What there is, without the stream's number."""
    _answered: bool = field(init=False, default=False)
    """Whether OraServer has answered anything about it."""
    _early_texts: list[tuple[int, SentenceText]] = field(init=False, default_factory=list)
    """Those sent before the first answer, which may be that OraServer is busy."""

    def __post_init__(self) -> None:
        self._window = FileWindow(0, self.bytes_per_s)

    # ---- what the link does

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in FINAL

    @property
    def delivered(self) -> bool:
        """Whether OraServer has stored everything."""
        return self.state is StreamState.DELIVERED

    @property
    def offered_bytes(self) -> int:
        """The end of what was offered, in bytes of the file."""
        return self._window.end

    @property
    def unsent_bytes(self) -> int:
        """Bytes that were offered and not sent."""
        return max(self._window.end - self._next, 0)

    @property
    def sent_s(self) -> float:
        """The time of the first byte that was not sent, in seconds of the utterance; also when the stream is over."""
        return self._sent_s if self.over else self._window.ms_at(min(self._next, self._window.end)) / 1000

    @property
    def acked_s(self) -> float:
        """The time of the first byte that OraServer has not stored, in seconds of the utterance."""
        return self._window.ms_at(min(self.upto, self._window.end)) / 1000

    def offer(self, offset: int, data: bytes, ms: int, texts: Iterable[SentenceText] = ()) -> None:
        """Add the next chunk of the file, and the sentences to send before it (`texts_of`).

        Call it when `opened_upto` is known, with each chunk that ends above it. Raises ValueError for a gap.
        """
        if self.over:
            return
        self._texts.extend((offset, text) for text in texts)
        self._window.append(offset, data, ms)
        if offset < self.upto:  # it was opened as fresh, and an earlier bridge has sent this
            self._window.release(self.upto)
        self._check_size()

    @property
    def finished(self) -> bool:
        """Whether `finish` was called."""
        return self._end is not None

    @property
    def fails(self) -> bool:
        """Whether it was finished because the utterance has failed."""
        return self._end is not None and self._end.status == "failed"

    def finish(
        self, status: StreamEndStatus, ms: int | None = None, code: str | None = None, size: int | None = None
    ) -> None:
        """Say that there is no more audio than was offered. Call it when `opened_upto` is known.

        `ms` is the duration, None if that is not known. `size`: bytes of the file. Without it the stream cannot see
        that OraServer has more than there is.
        """
        if not self.over and self._end is None:
            ms = round(self._window.ms_at(self._window.end)) if ms is None else ms
            self._end = StreamEnd(0, status, self._window.end if size is None else size, ms, code)
            self._check_ends()

    def check(self, now: float) -> None:
        """Break it if OraServer goes on to answer, and nothing comes of it."""
        if self.over or self.state is StreamState.OPENING:
            return
        if self.ended_at is not None and self.upto == self._end_size:
            if now >= self.ended_at + SILENT_S:
                self.broke(f"OraServer has not confirmed the end for {SILENT_S:g} s")
        elif not (self._flight.bytes or self._lost or self.unsent_bytes) or self._paused(now):
            self.moved_at = now
        elif now >= self.moved_at + STUCK_S:
            self.broke(f"OraServer has stored no more for {STUCK_S:g} s")

    def drop(self) -> None:
        """Send nothing more of it."""
        if not self.over:
            self._count_stored()
            self._over(StreamState.DROPPED)

    def broke(self, reason: str, code: str | None = None) -> None:
        """It cannot go on."""
        if not self.over:
            self.fault = StreamFault(reason, code)
            self._count_stored()
            self._over(StreamState.BROKEN)

    # ---- what the connection does

    def opens(self, number: int, credit: int, now: float) -> None:
        """`open` is sent now."""
        self.number, self._credit, self.moved_at = number, credit, now
        self.answer_due = now + SILENT_S
        if self.request.fresh and self.busy_since is None:
            self.state, self._limit, self.opened_upto = StreamState.SENDING, credit, 0
        else:
            self.state = StreamState.OPENING

    def opened(self, message: StreamOpened, now: float) -> None:
        """OraServer has answered `open`. A second answer is ignored."""
        if self.state is not StreamState.OPENING:
            if not self._answered:
                self._fresh_opened(message, now)
            return
        self._note_answer(now)
        self.state = StreamState.SENDING
        self.opened_upto = message.upto
        self._limit = message.limit
        if self._window.end > message.upto:  # it was fresh, and OraServer was busy
            self._window.release(message.upto)
        else:
            self._window = FileWindow(message.upto, self.bytes_per_s)
        self._note_stored(message, message.upto)
        self.listener.stored(self.request.seq, message.upto)
        self._check_ends()

    def _fresh_opened(self, message: StreamOpened, now: float) -> None:
        """OraServer has answered the `open` of a fresh stream, of which some may be sent already.

        If an earlier bridge had sent some of it all the same, and its report was lost, go on behind that.
        """
        self._note_answer(now)
        self._limit = max(self._limit, message.limit)
        if not (message.upto or message.ranges or message.size is not None):
            return
        self.moved_at = now
        self.listener.sent_before(self.request.seq, message.upto)
        self._note_stored(message, max(self._next, message.upto))
        self._window.release(message.upto)
        self._check_ends()

    def _note_stored(self, message: StreamOpened, go_on_at: int) -> None:
        """Note what OraServer has, and go on at this byte, or behind what it has there."""
        self.upto, self._size = message.upto, message.size
        self._stored, self._listed = ByteRanges(message.ranges), ByteRanges(message.ranges)
        self._stored.remove(0, message.upto)
        self._may_have_more = len(message.ranges) >= MAX_RANGES
        self._acked = message.upto + self._stored.total
        self._highest = max((message.upto, *(past for _, past in message.ranges)))
        self._stored.remove(0, go_on_at)
        self._advance(go_on_at)

    def busy(self, now: float, again_s: float, max_s: float) -> None:
        """OraServer cannot take it now: it is opened again later, and breaks after `max_s` seconds."""
        self.busy_since = now if self.busy_since is None else self.busy_since
        if now - self.busy_since >= max_s or self._answered:
            self.broke("OraServer is busy", "busy")
            return
        self._count_stored()
        self.state, self.number, self.answer_due = StreamState.WAITING, 0, None
        self.opened_upto, self.not_before = None, now + again_s
        self._texts.extendleft(reversed(self._early_texts))
        self._early_texts.clear()
        self._next, self._lost, self._flight = 0, ByteRanges(), InFlight()

    def ack(self, message: StreamAck, now: float) -> None:
        """Take OraServer's answer."""
        if self.over or self.state is StreamState.OPENING or message.seen < self._seen:
            return
        if (wrong := self._wrong(message)) is not None:
            self.broke(f"OraServer has broken protocol v2: {wrong}")
            return
        self._note_answer(now)
        self._seen = message.seen
        self._limit = max(self._limit, message.limit)
        self._size = message.size if message.size is not None else self._size
        self.skipped_bytes = message.skipped or self.skipped_bytes
        upto, ranges = message.upto, message.ranges
        for first, past in self._flight.seen(message.seen, upto, ranges):
            self._lost.add(first, past)
        if self._listed or message.ranges:
            self._note_listed(message)
        if self._lost:
            for first, past in ((0, upto), *ranges):
                self._lost.remove(first, past)
        acked = upto + sum([past - first for first, past in ranges])
        if more := max(acked - self._acked, upto - self.upto, 0):
            self.moved_at = now
        self._acked = max(acked, self._acked)
        self._highest = max(self._highest, ranges[-1][1] if ranges else upto)
        self._resend.acked(message.seen, now, new=more, lost=bool(self._lost))
        self.upto = upto
        if upto > self._next:  # it has skipped a gap below what it had already
            self._stored.remove(0, upto)
            self._advance(upto)
        self._window.release(upto)
        self._check_delivered()

    def played(self, ms: int, now: float) -> None:
        """OraServer reports how far the phone has played."""
        if not self.over:
            rest_s = self._window.ms_at(self._next) / 1000 - ms / 1000
            self.listener.played(self.request.seq, self._next, rest_s, now, begun=ms > 0)

    def sendable(self, now: float) -> bool:
        """Whether `take` has a frame now."""
        if self._lost and self._resends(now):
            return self.state in (StreamState.SENDING, StreamState.ENDED)
        if self.state is not StreamState.SENDING:
            return False
        return (self._allows_more and not self._paused(now)) or self._end_due

    def resumes_at(self, now: float) -> float | None:
        """When it has something to send again if nothing happens: the listener plays, or it may send again."""
        again = self._resend.not_before if self._lost and not self.over and not self._resends(now) else None
        if self.state is StreamState.SENDING and self._allows_more and self._paused(now):
            plays = min(self.listener.comes_down_to(self.limits.max_lead_s), self.request.paced_until)
            return plays if again is None else min(plays, again)
        return again

    def take(self, frame: int, now: float, pace: LinkPace) -> SentenceText | AudioRange | StreamEnd:
        """Return the next frame, which is sent now as frame number `frame`. Call it only if it is `sendable`."""
        size = self._frame_bytes(now, pace)
        if self._resends(now):
            first, past = self._lost.first
            past = min(past, first + size)
            self._lost.remove(first, past)
            self.retransmitted_bytes += past - first
            self._resend.sent(frame, past - first)
            return self._audio(frame, first, past)
        past = min(self._next + size, self._may_send_to)
        if self._texts and (self._end_due or self._texts[0][0] < past):
            return self._text()
        if self._end_due and self._end is not None:
            self.state, self.ended_at = StreamState.ENDED, now
            return replace(self._end, stream=self.number)
        first, before_ms = self._next, self._window.ms_at(self._next)
        self._advance(past)
        audio_s = (self._window.ms_at(self._next) - before_ms) / 1000
        self.listener.sent(self.request.seq, first, self._next, audio_s, now)
        return self._audio(frame, first, past)

    # ---- inside

    def _resends(self, now: float) -> bool:
        """Whether it may send lost bytes again now."""
        return bool(self._lost) and now >= self._resend.not_before

    def _note_listed(self, message: StreamAck) -> None:
        """OraServer may have dropped what it had above `upto`: what it lists no more is sent again."""
        dropped, self._listed = self._listed, ByteRanges(message.ranges)
        for first, past in ((0, message.upto), *message.ranges):
            dropped.remove(first, past)
        if not dropped:
            return
        sent = max(message.upto, min(self._next, self._window.end))
        for first, past in dropped:
            self._lost.add(first, min(past, sent))
        self._stored = ByteRanges(message.ranges)
        self._stored.remove(0, sent)
        self._advance(sent)

    @property
    def _may_send_to(self) -> int:
        """The end of the bytes that can be sent from `_next` on in one frame."""
        past = min(self._window.end, self._limit)
        return min(past, self._stored.first[0]) if self._stored else past

    @property
    def _allows_more(self) -> bool:
        """Whether new bytes may be sent. A small rest of the limit waits for the next ack, which raises the limit.

        Without that, frames would stay as small as the steps by which the limit rises (RFC 1122, 4.2.3.4).
        """
        if self._next >= self._window.end:  # most often so: what was offered is sent at once
            return False
        past = self._may_send_to
        if self._next >= past:
            return False
        small = past - self._next < min(self.limits.max_frame_bytes // 2, self._credit // 4)
        return not (small and past == self._limit and self._flight.bytes)

    @property
    def _end_due(self) -> bool:
        end = self._end
        return end is not None and self._next >= end.size and self.state is StreamState.SENDING

    def _paused(self, now: float) -> bool:
        # The same time as in `resumes_at`: `lead_s`, which rounds differently, could say at that time that it waits.
        return now < self.request.paced_until and now < self.listener.comes_down_to(self.limits.max_lead_s)

    def _advance(self, past: int) -> None:
        """All bytes before `past` were sent: go on behind those that OraServer has already."""
        self._next = past
        while self._stored and self._stored.first[0] <= self._next:
            first, past = self._stored.first
            self._stored.remove(first, past)
            self._next = max(self._next, past)

    def _frame_bytes(self, now: float, pace: LinkPace) -> int:
        if now >= self.request.paced_until:  # nobody listens before the end, or the rest must be sent soon
            return largest_frame_bytes(self.limits.max_frame_bytes, competing=pace.competing)
        view = SendingView(
            lead_s=self.listener.lead_s(now),
            ack_s=pace.ack_s,
            link_bytes_per_s=pace.link_bytes_per_s,
            surely_bytes_per_s=pace.surely_bytes_per_s,
            audio_bytes_per_s=self.bytes_per_s,
            max_bytes=self.limits.max_frame_bytes,
            max_lead_s=float("inf"),  # `_paused` has looked
            competing=pace.competing,
        )
        return next_frame_bytes(view)

    def _text(self) -> SentenceText:
        if not self._answered:
            self._early_texts.append(self._texts[0])
        return replace(self._texts.popleft()[1], stream=self.number)

    def _audio(self, frame: int, first: int, past: int) -> AudioRange:
        data = self._window.read(first, past)
        self._flight.sent(frame, first, past)
        checksum = crc32(data) if self.limits.crc else None
        return AudioRange(self.number, first, data, self._window.ms_of_chunk(first), checksum)

    def _note_answer(self, now: float) -> None:
        self._answered, self.answer_due = True, now + SILENT_S
        self._early_texts.clear()

    def _wrong(self, message: StreamAck) -> str | None:
        """What of an ack contradicts what was sent; None if nothing does."""
        known, ranges = MAX_INT if self._may_have_more else max(self._next, self._highest), message.ranges
        if message.upto < self.upto:
            return f"upto falls from {self.upto} to {message.upto}"
        if message.upto > known or (ranges and ranges[-1][1] > known):
            return f"it has bytes that were not sent, above {known}"
        if ranges and ranges[0][0] <= message.upto:
            return "a range begins at `upto` or before it"
        if message.size is not None and self.state is StreamState.ENDED and message.size != self._end_size:
            return f"the size is {message.size} and not {self._end_size}"
        return None

    @property
    def _end_size(self) -> int | None:
        return None if self._end is None else self._end.size

    def _check_ends(self) -> None:
        """Compare the size that OraServer knows with what there is, as far as both are known."""
        self._check_size()
        self._check_failed_end()
        self._check_delivered()

    def _check_size(self) -> None:
        if self._size is not None and self._window.end > self._size and not self.over:
            self.broke(f"OraServer has ended it with {self._size} bytes, and there are more", "refused")

    def _check_failed_end(self) -> None:
        """An earlier owner has sent more than there is: an end before that would break the protocol."""
        if self.fails and self.state is not StreamState.ENDED and self._highest > (self._end_size or 0):
            self.drop()

    def _check_delivered(self) -> None:
        size = self._end_size
        if size is None or self.over:
            return
        if self.upto > size:
            self.broke(f"OraServer has {self.upto} bytes, and there are {size}")
        elif self._size is None:
            return
        elif self._size != size:
            self.broke(f"OraServer has ended it with {self._size} bytes, and there are {size}", "refused")
        elif self.upto == size:
            self._over(StreamState.DELIVERED)

    def _count_stored(self) -> None:
        """What was sent and not stored will be sent by another stream: the listener does not have it."""
        if self.state in (StreamState.SENDING, StreamState.ENDED):  # else it has sent nothing
            self.listener.stored(self.request.seq, self.upto)

    def _over(self, state: StreamState) -> None:
        self._sent_s = self.sent_s
        self.state, self.answer_due = state, None
        self._window = FileWindow(self.upto, self.bytes_per_s)
        self._texts.clear()
        self._lost, self._listed, self._flight = ByteRanges(), ByteRanges(), InFlight()
