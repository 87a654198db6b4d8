"""A connection of protocol v2 whose OraServer is the test."""

from __future__ import annotations

import itertools
from dataclasses import replace

from orastream.contract.audio_messages import AudioStart
from orastream.contract.oraserver.from_bridge import AudioRange, BridgeHello
from orastream.contract.oraserver.from_server import ServerHello, StreamAck, StreamOpened
from orastream.contract.oraserver.wire import WireMessage
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.multiplex import Multiplex
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.stream_terms import SendingLimits, StreamRequest

RATE = 44_100.0
START = AudioStart(1, "wav", 22_050, 1, "espeak", "ko-KR")
SERVER = ServerHello(2, 100_000, 1000, ("wav", "opus"), 600_000)
BRIDGE = BridgeHello(2, "tts", "ws_bridge-1", "orastream/0")
NOW = 100.0


class Kit:
    """A multiplex that has OraServer's hello, and what it has sent."""

    def __init__(self, hello: ServerHello | None = SERVER, limits: SendingLimits | None = None) -> None:
        self.mux = Multiplex(BRIDGE, itertools.count(1), limits or SendingLimits())
        self.sent: list[WireMessage] = []
        if hello is not None:
            self.mux.received(hello, NOW)

    def stream(
        self, seq: int = 1, *, session: str = "s", fresh: bool = True, paced: bool = True, **more: object
    ) -> OutStream:
        """Add a stream; it is not opened yet."""
        request = StreamRequest(session, "phone", f"r.{seq}", seq, 7, START, fresh=fresh)
        request = replace(request, paced_until=float("inf") if paced else float("-inf"))
        request = replace(request, **more)  # type: ignore[arg-type]
        stream = OutStream(request, Listener(), self.mux.limits, RATE)
        self.mux.add(stream, NOW)
        return stream

    def opened(self, size: int = 0, *, ended: bool = False, seq: int = 1, session: str = "s") -> OutStream:
        """A stream that is opened and answered, with so many bytes sent, and with its end."""
        stream = self.stream(seq, session=session)
        self.poll()
        if size:
            self.offer(stream, 0, bytes(size))
        if ended:
            self.finish(stream)
        self.mux.received(StreamOpened(stream.number, 0, SERVER.credit), NOW)
        self.poll()
        return stream

    def offer(self, stream: OutStream, offset: int, data: bytes, now: float = NOW) -> None:
        stream.offer(offset, data, round(offset * 1000 / RATE))
        self.mux.offered(stream, now)

    def finish(self, stream: OutStream, now: float = NOW) -> None:
        stream.finish("complete", 0)
        self.mux.offered(stream, now)

    def poll(self, now: float = NOW) -> list[WireMessage]:
        """Everything that the connection sends now."""
        found = list(iter(lambda: self.mux.poll(now), None))
        self.sent += found
        return found

    def hear(self, now: float) -> None:
        """OraServer says something about a stream that is over."""
        self.mux.received(StreamAck(1 << 40, 0, 0, 0), now)

    def ack(self, stream: OutStream, upto: int, now: float = NOW, **more: object) -> None:
        limit = more.pop("limit", upto + SERVER.credit)
        seen = more.pop("seen", self.mux.frames)
        self.mux.received(StreamAck(stream.number, upto, limit, seen, **more), now)  # type: ignore[arg-type]


def ranges_of(messages: list[WireMessage]) -> list[tuple[int, int]]:
    """The ranges of the audio in these messages, joined where one follows the other."""
    found: list[tuple[int, int]] = []
    for message in messages:
        if isinstance(message, AudioRange):
            first, past = message.at, message.at + len(message.data)
            if found and found[-1][1] == first:
                first = found.pop()[0]
            found.append((first, past))
    return found
