"""A bridge on simulated connections: what the link does around the rules of protocol v2, without sockets.

It is driven by events and by `next_time` alone, so that a wake-up that is lost stops it for ever.
"""

# length: one driver; time, pipe and bridge are of no use without each other

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.contract.oraserver.from_bridge import (
    AudioRange,
    BridgeHello,
    CancelUtterances,
    OpenStream,
)
from orastream.contract.oraserver.from_server import StreamOpened, unpack_from_server
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime
from orastream.delivery.rules.resuming import Resuming
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.multiplex import CHECK_S, Multiplex, ProtocolFault
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.pending_cancels import PendingCancel
from orastream.delivery.rules.streams.sentence_texts import texts_of
from orastream.delivery.rules.streams.stream_terms import SendingLimits, StreamRequest, StreamState
from tests.unit.orastream.delivery.rules.streams.model_receiver import Kept, ModelReceiver

NODE = "tts"
RATE = 16_000
"""Bytes of a second of audio."""
START = AudioStart(1, "wav", 8000, 1, "espeak", "ko-KR")
UNSENT_BYTES = 8 << 10
"""The socket takes a frame while fewer bytes than these were not sent."""
AGAIN_S = 0.5
COMPETING_BYTES = 16 << 10

Outcome = Literal["delivered", "cancelled", "stale"]


class SimulatedTime:
    """A clock, and what happens later."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(when, self.now), next(self._order), call))

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        self.at(self.now + delay_s, call)

    def run(self, until: float) -> None:
        """Let everything happen that happens until then. The clock goes no further than to the last event."""
        while self._events and self._events[0][0] <= until:
            self.now, _, call = heapq.heappop(self._events)
            call()

    @property
    def quiet(self) -> bool:
        return not self._events


@dataclass(slots=True, eq=False)
class Source:
    """What synth makes of one utterance."""

    session: str
    seq: int
    chunks: list[tuple[int, bytes]]
    """(offset, data), in order."""
    made: int = 0
    """How many of them there are by now."""
    opened: bool = False
    """Whether any bridge has opened it."""
    cancelled: bool = False

    def chunk(self, index: int) -> AudioChunk:
        """The chunk as synth stores it. Each third one begins a sentence of three words; a word ends in each later one.

        So the last word of a sentence ends in the chunk in which the next sentence begins.
        """
        offset, data = self.chunks[index]
        ms, sentence = time_of(offset), index // 3
        start = SentenceStart(sentence, ms, f"sentence {sentence}", 10 * sentence, 10 * sentence + 9)
        words = () if not index else (self._word(index - 1, ms),)
        return AudioChunk(1, index, ms, sentence, data, None, offset, () if index % 3 else (start,), words)

    def _word(self, index: int, end_ms: int) -> WordTime:
        """The word that begins in that chunk, and ends in the next one."""
        sentence, place = index // 3, 10 * (index // 3) + index % 3
        begin_ms = time_of(self.chunks[index][0]) + index  # short chunks begin in the same ms, words do not
        return WordTime(sentence, place, place + 1, begin_ms, end_ms + index + 1)

    def kept(self) -> Kept:
        """What a receiver has of it before anything has come."""
        chunks = [self.chunk(index) for index in range(len(self.chunks))]
        marks = {one.offset or 0: one.sentences[0].number for one in chunks if one.sentences}
        words = {
            (one.offset or 0): (w.sentence, w.first, w.end - w.first, w.begin_ms, w.end_ms)
            for one in chunks
            for w in one.words
        }
        return Kept(self.seq, self.file, marks, words)

    @property
    def file(self) -> bytes:
        return b"".join(data for _, data in self.chunks)

    @property
    def ended(self) -> bool:
        return self.made == len(self.chunks)


@dataclass(slots=True, eq=False)
class Job:
    """The delivery of an utterance by one bridge."""

    source: Source
    acked: int = 0
    outcome: Outcome | None = None
    stream: OutStream | None = None
    offered: int = 0
    finished: bool = False
    resuming: Resuming = field(default_factory=lambda: Resuming(0))


class SimulatedConnection:
    """One connection with its multiplex. Both ways keep the order; a cut loses what is on its way."""

    def __init__(self, bridge: SimulatedBridge, bytes_per_s: float, delay_s: float) -> None:
        self.bridge, self.time = bridge, bridge.time
        self.bytes_per_s, self.delay_s = bytes_per_s, delay_s
        hello = BridgeHello(2, NODE, bridge.name, "orastream/0")
        self.mux = Multiplex(hello, bridge.tries, bridge.limits())
        self.open = True
        self.resent_bytes = 0
        self._up: deque[bytes] = deque()
        self._free_at = self.time.now
        self._waited = False
        self._timer = 0
        self._sent: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.server = bridge.receiver.accept(self._from_server)

    def cut(self, arrive: int = 0, late_s: float = 0.0) -> None:
        """The connection breaks. The first `arrive` frames on their way are read later, all others never."""
        self.open, self.server.closed = False, True
        for payload in itertools.islice(self._up, arrive):
            self.time.after(late_s, lambda payload=payload: self.server.frame(payload))  # type: ignore[misc]
        self._up.clear()
        self.bridge.happens(lambda: self._lost("the connection was cut"))

    def pump(self) -> None:
        """Send what can be sent; then wait for an event or for `next_time`."""
        if not self.open:
            return
        while not self._full():
            self.bridge.look_at_changes(self)
            competing = self._sendable() > 1
            message = self.mux.poll(self.time.now, waited=self._waited)
            self._waited = False
            if message is None:
                break
            if isinstance(message, AudioRange):
                self._judge(message, competing=competing)
            elif isinstance(message, OpenStream):
                self.bridge.note_try(message)
            self._send(b"".join(message.parts()) if isinstance(message, AudioRange) else message.pack())
        else:
            self._waited = True
            self._wake_at(self._free_at - UNSENT_BYTES / self.bytes_per_s + 1e-6)
            return
        self.bridge.look_at_changes(self)
        assert not self._sendable() or self.mux.server is None, "a stream has something to send, and is not asked"
        at = self.mux.next_time(self.time.now)
        for job in self.bridge.jobs_of(self):
            if job.stream is not None and (resumes := job.stream.resumes_at(self.time.now)) is not None:
                assert at is not None
                assert at <= resumes, "a stream that waits for its listener wakes too late"
        if at is not None:
            assert at <= self.time.now + CHECK_S, "nobody would see that OraServer is silent"
            self._wake_at(at)

    def _full(self) -> bool:
        return (self._free_at - self.time.now) * self.bytes_per_s > UNSENT_BYTES

    def _wake_at(self, at: float) -> None:
        self._timer += 1
        number = self._timer
        self.time.at(at, lambda: self.bridge.happens(lambda: self._woken(number)))

    def _woken(self, number: int) -> None:
        if number != self._timer or not self.open:
            return
        try:
            self.mux.check(self.time.now)
        except ProtocolFault as error:
            self._fail(str(error))
        self.pump()

    def _sendable(self) -> int:
        return sum(job.stream.sendable(self.time.now) for job in self.bridge.jobs_of(self) if job.stream is not None)

    def _judge(self, message: AudioRange, *, competing: bool) -> None:
        size, limits = len(message.data), self.mux.limits
        assert size <= (min(COMPETING_BYTES, limits.max_frame_bytes) if competing else limits.max_frame_bytes)
        self.resent_bytes += self._note_sent(message.stream, message.at, message.at + size)
        # What was dropped is sent again, and nothing else.
        assert self.resent_bytes <= self.server.dropped_bytes

    def _note_sent(self, stream: int, first: int, past: int) -> int:
        """Note that these bytes were sent over the stream. Return how many of them were noted before."""
        flags = self._sent[stream]
        flags.extend(bytes(max(past - len(flags), 0)))
        again = sum(flags[first:past])
        flags[first:past] = b"\1" * (past - first)
        return again

    def _send(self, payload: bytes) -> None:
        self._free_at = max(self._free_at, self.time.now) + len(payload) / self.bytes_per_s
        self._up.append(payload)
        self.time.at(self._free_at + self.delay_s, self._arrived)

    def _arrived(self) -> None:
        if self.open:
            self.server.frame(self._up.popleft())

    def _from_server(self, payload: bytes) -> None:
        self.time.after(self.delay_s, lambda: self.bridge.happens(lambda: self._received(payload)))

    def _received(self, payload: bytes) -> None:
        message = unpack_from_server(payload)
        if not self.open or message is None:
            return
        if isinstance(message, StreamOpened):  # what it has counts as sent: none of it is sent again
            for first, past in ((0, message.upto), *message.ranges):
                self._note_sent(message.stream, first, past)
        try:
            self.mux.received(message, self.time.now)
        except ProtocolFault as error:
            self._fail(str(error))
        self.pump()

    def _fail(self, reason: str) -> None:
        self.open, self.server.closed = False, True
        self._lost(reason)

    def _lost(self, reason: str) -> None:
        self.mux.lose(reason)
        self.bridge.look_at_changes(self)
        assert self.mux.idle
        self.bridge.connection_lost(self)


@dataclass(slots=True, eq=False)
class SimulatedBridge:
    """One bridge process with one connection at a time."""

    name: str
    epoch: int
    time: SimulatedTime
    receiver: ModelReceiver
    max_frame_bytes: int
    max_lead_s: float
    bytes_per_s: float = 100_000.0
    delay_s: float = 0.02
    forgetful: bool = False
    """It does not know what earlier bridges have sent: their reports were lost."""
    paused: bool = False
    """The process is stopped; what happens to it, it sees when it wakes."""
    connection: SimulatedConnection | None = None
    connections: list[SimulatedConnection] = field(default_factory=list)
    sessions: defaultdict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))
    cancels: list[CancelUtterances] = field(default_factory=list)
    """Those without an answer."""
    tries: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _listeners: defaultdict[str, Listener] = field(default_factory=lambda: defaultdict(Listener))
    _missed: list[Callable[[], None]] = field(default_factory=list)
    _tries_seen: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    # ---- what a test does

    def limits(self) -> SendingLimits:
        return SendingLimits(self.max_frame_bytes, self.max_lead_s)

    def connect(self) -> None:
        assert self.connection is None
        self.connection = SimulatedConnection(self, self.bytes_per_s, self.delay_s)
        self.connections.append(self.connection)
        for message in self.cancels:
            self.connection.mux.cancel(message)
        for session in list(self.sessions):
            self._begin(session)

    def take(self, source: Source, acked: int = 0) -> None:
        """Deliver an utterance, when those before it are final."""
        self.sessions[source.session].append(Job(source, acked))
        self._begin(source.session)
        self._pump()

    def more(self, source: Source) -> None:
        """Synth has made more."""
        for job in self.sessions[source.session]:
            if job.source is source:
                self._offer(job)
        self._pump()

    def cancel(self, message: CancelUtterances) -> None:
        self.cancels.append(message)
        listener = self._listeners[message.session]
        listener.cancelled(self.time.now, before=message.before, seq=message.seq)
        if self.connection is not None:
            self.connection.mux.cancel(message)
            self.connection.mux.listener_changed(listener, self.time.now)
        for job in self.sessions[message.session]:
            if job.outcome is None and covers(message, job.source.seq):
                job.outcome = "cancelled"
        self._begin(message.session)
        self._pump()

    def wake(self) -> None:
        self.paused = False
        missed, self._missed = self._missed, []
        for call in missed:
            call()

    def happens(self, call: Callable[[], None]) -> None:
        """Something happens to the process: now, or when it wakes."""
        if self.paused:
            self._missed.append(call)
        else:
            call()

    # ---- what the link does

    def jobs_of(self, connection: SimulatedConnection) -> list[Job]:
        if connection is not self.connection:
            return []
        return [job for jobs in self.sessions.values() for job in jobs if job.outcome is None]

    def look_at_changes(self, connection: SimulatedConnection) -> None:
        while changed := connection.mux.changed[:]:
            connection.mux.changed.clear()
            for item in changed:
                if isinstance(item, PendingCancel):
                    self._answered(item)
                else:
                    self._stream_changed(item)

    def connection_lost(self, connection: SimulatedConnection) -> None:
        if connection is self.connection:
            self.connection = None
            self.time.after(AGAIN_S, lambda: self.happens(self.connect))

    def note_try(self, message: OpenStream) -> None:
        assert message.attempt > self._tries_seen[message.session], "`try` does not rise"
        self._tries_seen[message.session] = message.attempt

    def _pump(self) -> None:
        if self.connection is not None:
            self.connection.pump()

    def _begin(self, session: str) -> None:
        """Open the first utterance of the session that is not final, unless it is open."""
        job = next((job for job in self.sessions[session] if job.outcome is None), None)
        if job is None or self.connection is None or (job.stream is not None and not job.stream.over):
            return
        source = job.source
        fresh, source.opened = not source.opened or (self.forgetful and job.stream is None), True
        paced_until = float("inf") if source.seq % 3 else float("-inf")
        wanted = StreamRequest(
            session, "phone", f"r.{source.seq}", source.seq, self.epoch, START, job.acked, fresh, paced_until
        )
        job.stream = OutStream(wanted, self._listeners[session], self.connection.mux.limits, RATE)
        job.offered, job.finished = 0, False
        job.resuming.start_over()
        job.resuming.link_up(resumes=True)
        self.connection.mux.add(job.stream, self.time.now)

    def _again(self, job: Job) -> None:
        self._begin(job.source.session)
        self._pump()

    def _stream_changed(self, stream: OutStream) -> None:
        job = next((job for job in self.sessions[stream.request.session] if job.stream is stream), None)
        if job is None or job.outcome is not None:
            return
        if not stream.over:
            self._offer(job)
            return
        job.acked = max(stream.upto, job.acked)
        code = stream.fault.code if stream.fault is not None else None
        if stream.state is StreamState.DELIVERED:
            kept = self.receiver.utterance((NODE, job.source.session), job.source.seq)
            assert kept.whole, "the receiver does not have it all"
            words = [(n, *word) for n, sentence in sorted(kept.sentences.items()) for word in sentence.words]
            assert words == list(kept.words.values()), "each word once, and in order"
            job.outcome = "delivered"
            self._begin(job.source.session)
        elif code == "stale_epoch":
            for each in self.sessions[job.source.session]:
                each.outcome = each.outcome or "stale"
        elif code == "cancelled":
            job.outcome = "cancelled"
            self._begin(job.source.session)
        else:
            assert stream.state is StreamState.BROKEN, stream.state
            assert stream.fault is not None
            assert "broken protocol" not in stream.fault.reason, stream.fault.reason
            self.time.after(AGAIN_S, lambda: self.happens(lambda: self._again(job)))

    def _offer(self, job: Job) -> None:
        stream, source = job.stream, job.source
        if stream is None or stream.over or stream.opened_upto is None or job.finished:
            return
        while job.offered < source.made:
            chunk, (offset, data) = source.chunk(job.offered), source.chunks[job.offered]
            if offset + len(data) > stream.opened_upto:
                stream.offer(offset, data, chunk.pts_ms, texts_of(chunk, job.resuming.writes(chunk)))
            else:
                job.resuming.passes(chunk, offset + len(data))
            job.offered += 1
        if source.ended:
            job.finished = True
            stream.finish("complete", time_of(len(source.file)))
        if self.connection is not None:
            self.connection.mux.offered(stream, self.time.now)

    def _answered(self, pending: PendingCancel) -> None:
        assert pending.over
        if not pending.lost:
            self.cancels = [message for message in self.cancels if message != pending.message]
        else:
            connection = self.connection
            self.time.after(AGAIN_S, lambda: self._cancel_again(connection, pending.message))

    def _cancel_again(self, connection: SimulatedConnection | None, message: CancelUtterances) -> None:
        """Send a cancel again over the connection that had no answer. A new connection begins with all cancels."""
        if connection is not None and self.connection is connection and message in self.cancels:
            connection.mux.cancel(message)
            self._pump()


def covers(cancel: CancelUtterances, seq: int) -> bool:
    """Whether a cancel of this session ends the utterance."""
    return seq == cancel.seq or (cancel.before is not None and seq < cancel.before)


def time_of(offset: int) -> int:
    """The time of a byte in ms."""
    return offset * 1000 // RATE
