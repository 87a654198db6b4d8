"""A bridge of protocol v2 without I/O: follows docs/reference/oraserver-v2.md, for tests of OraServers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from orastream.contract.audio import PcmSpec, seconds_of, wav_header
from orastream.contract.oraserver.from_bridge import (
    AudioRange,
    BridgeHello,
    CancelUtterances,
    OpenStream,
    SentenceText,
    StreamEnd,
)
from orastream.contract.oraserver.from_server import (
    PlayedUntil,
    ServerError,
    ServerHello,
    StreamAck,
    StreamOpened,
    UtterancesCleared,
)
from orastream.contract.oraserver.wire import WireMessage
from services.oraserver.v2.received_ranges import ReceivedRanges

RATE_HZ = 8_000
SPEC = PcmSpec(RATE_HZ)


def wav(data_bytes: int, seed: int = 1, *, true_sizes: bool = False) -> bytes:
    """A WAV file as synth streams it; with `true_sizes` as a complete one is stored."""
    body = bytes((i * 31 + seed * 7) % 251 for i in range(data_bytes))
    return wav_header(SPEC, data_bytes if true_sizes else None) + body


@dataclass
class Spoken:
    """An utterance that a bridge delivers. What it knows of OraServer's state survives its connections."""

    file: bytes
    seq: int = 1
    session: str = "s1"
    request: str = "r1"
    phone: str = "p1"
    format: str = "wav"
    status: Any = "complete"
    opens: int = 0
    acked: int = 0
    delivered: bool = False
    error: str | None = None
    skipped: int = 0
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def ms(self) -> int:
        """The duration."""
        return round((seconds_of(self.format, SPEC, len(self.file)) or 0) * 1000)


@dataclass
class BridgeStream:
    """A stream of one connection."""

    number: int
    spoken: Spoken
    opening: bool
    limit: int
    known: ReceivedRanges = field(default_factory=ReceivedRanges)
    in_flight: list[tuple[int, int, int]] = field(default_factory=list)
    """Frame number, and range."""
    lost: list[tuple[int, int]] = field(default_factory=list)
    next: int = 0
    upto: int = 0
    ended: bool = False
    over: bool = False
    retransmitted: int = 0


class StreamingBridge:
    """One connection after the other. `out` has the frames to send; `receive` takes each message of OraServer."""

    def __init__(self, node: str = "tts", epoch: int = 1, frame_bytes: int = 4_096) -> None:
        self.node, self.epoch, self.frame_bytes = node, epoch, frame_bytes
        self.attempt = 0
        self.out: deque[bytes] = deque()
        self.cleared: list[UtterancesCleared] = []
        self.played: list[PlayedUntil] = []
        self.errors: list[ServerError] = []
        self.problems: list[str] = []
        """Broken rules of OraServer."""
        self.connect()

    def connect(self) -> None:
        """Begin a connection."""
        self.hello: ServerHello | None = None
        self.sent = self.seen = self._number = 0
        self.streams: dict[int, BridgeStream] = {}
        self.out.clear()

    def send(self, message: WireMessage) -> None:
        """Send a message."""
        self.out.append(message.pack())
        self.sent += 1

    def open(self, spoken: Spoken, *, fresh: bool = False, **changes: Any) -> BridgeStream:
        """Open a stream; the earlier ones of the session are over."""
        assert self.hello is not None
        self._number += 1
        self.attempt += 1
        spoken.opens += 1
        fields: dict[str, Any] = {
            "stream": self._number,
            "session": spoken.session,
            "phone": spoken.phone,
            "request": spoken.request,
            "seq": spoken.seq,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "acked": spoken.acked,
            "format": spoken.format,
            "rate": RATE_HZ,
            "channels": 1,
            "engine": "espeak",
            "language": "ko-KR",
            "fresh": fresh,
        }
        for stream in self.streams.values():
            stream.over = stream.over or stream.spoken.session == spoken.session
        self.send(OpenStream(**(fields | spoken.fields | changes)))
        stream = BridgeStream(self._number, spoken, not fresh, self.hello.credit if fresh else 0)
        self.streams[stream.number] = stream
        if fresh:
            self.send(SentenceText(stream.number, 0, 0, "안녕하세요.", 0, 6))
        return stream

    def cancel(self, session: str, before: int | None = None, seq: int | None = None) -> None:
        """Send a cancel; the streams that it covers are over."""
        for stream in self.streams.values():
            spoken = stream.spoken
            covered = spoken.seq < before if before is not None else spoken.seq == seq
            stream.over = stream.over or (spoken.session == session and covered)
        self.send(CancelUtterances(session, self.epoch, before, seq))

    def pump(self) -> bool:
        """Send the next frame of each stream that has one; whether there was one."""
        return any([self._pump(stream) for stream in list(self.streams.values())])

    def _pump(self, stream: BridgeStream) -> bool:
        file = stream.spoken.file
        if stream.over or stream.opening:
            return False
        if stream.lost:
            first, past = stream.lost.pop(0)
            cut = min(past, first + self.frame_bytes)
            if cut < past:
                stream.lost.insert(0, (cut, past))
            stream.retransmitted += cut - first
            self._audio(stream, first, cut)
            return True
        missing = stream.known.missing(stream.next, len(file))
        first = missing[0][0] if missing else len(file)
        past = min(missing[0][1], first + self.frame_bytes, stream.limit) if missing else first
        if first < past:
            stream.next = past
            self._audio(stream, first, past)
            return True
        if first == len(file) and not stream.ended:
            stream.ended = True
            code = None if stream.spoken.status == "complete" else "engine_failed"
            self.send(StreamEnd(stream.number, stream.spoken.status, len(file), stream.spoken.ms, code))
            return True
        return False

    def _audio(self, stream: BridgeStream, first: int, past: int) -> None:
        data = stream.spoken.file[first:past]
        crc = crc32(data) if self.hello is not None and self.hello.crc else None
        self.send(AudioRange(stream.number, first, data, None, crc))
        stream.in_flight.append((self.sent, first, past))

    def receive(self, message: WireMessage) -> None:
        """Take a message of OraServer."""
        match message:
            case ServerHello():
                self.hello = message
                self.send(BridgeHello(2, self.node, "ws_bridge-1", "orastream/0"))
            case StreamOpened():
                self._opened(message)
            case StreamAck():
                self._ack(message)
            case PlayedUntil():
                self.played.append(message)
            case UtterancesCleared():
                self.cleared.append(message)
            case ServerError():
                self.errors.append(message)
                if message.stream in self.streams:
                    self.streams[message.stream].over = True
                    self.streams[message.stream].spoken.error = message.code

    def _opened(self, message: StreamOpened) -> None:
        stream = self.streams[message.stream]
        if stream.opening:
            if not stream.spoken.error and message.upto < len(stream.spoken.file):
                self.send(SentenceText(stream.number, 0, 0, "안녕하세요.", 0, 6))
            stream.opening = False
        self._stored(stream, message)

    def _ack(self, message: StreamAck) -> None:
        stream = self.streams[message.stream]
        if not self.seen <= message.seen <= self.sent:
            self.problems.append(f"seen {message.seen} after {self.seen}, sent {self.sent}")
        self.seen = message.seen
        self._stored(stream, message)
        done = [entry for entry in stream.in_flight if entry[0] <= message.seen]
        stream.in_flight = [entry for entry in stream.in_flight if entry[0] > message.seen]
        for _, first, past in done:
            stream.lost += stream.known.missing(first, past)
        stream.spoken.skipped = message.skipped or 0
        if message.size is not None and message.upto == message.size:
            stream.spoken.delivered = True
            stream.over = True

    def _stored(self, stream: BridgeStream, message: StreamOpened | StreamAck) -> None:
        spoken = stream.spoken
        if message.upto < stream.upto or message.limit < stream.limit:
            self.problems.append(f"upto {stream.upto} to {message.upto}, limit {stream.limit} to {message.limit}")
        if max([message.upto, *(past for _, past in message.ranges)]) > len(spoken.file):
            self.problems.append(f"{message} is beyond what was sent")
        if any(first <= message.upto for first, _ in message.ranges) or len(message.ranges) > 64:
            self.problems.append(f"ranges {message.ranges} above {message.upto}")
        stream.upto = spoken.acked = message.upto
        stream.limit = max(stream.limit, message.limit)
        stream.known = ReceivedRanges()
        for first, past in ((0, message.upto), *message.ranges):
            stream.known.add(first, past)
