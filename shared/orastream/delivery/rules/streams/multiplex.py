"""The bridge's side of one connection of protocol v2: which frame is sent next, and what an answer means. Pure.

The connection calls `poll` while the socket takes more, and writes at once what it returns; so the numbers of frames
are those of the wire. Times are monotonic seconds.
"""

# length: one state machine; its events and decisions use the same state

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from orastream.base.foreign_text import cleaned
from orastream.contract.oraserver.from_bridge import AudioRange, BridgeHello, CancelUtterances, OpenStream
from orastream.contract.oraserver.from_server import (
    MIN_CREDIT,
    PlayedUntil,
    ServerError,
    ServerHello,
    StreamAck,
    StreamOpened,
    UtterancesCleared,
)
from orastream.contract.oraserver.wire import WireMessage
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.pending_cancels import PendingCancel, PendingCancels, covers
from orastream.delivery.rules.streams.stream_terms import SILENT_S, STUCK_S, LinkPace, SendingLimits, StreamState
from orastream.delivery.rules.streams.throughput import Throughput
from orastream.delivery.rules.streams.turns import StreamTurns

BUSY_AGAIN_S, BUSY_S = 1.0, 30.0
"""After how long a stream that OraServer was too busy for is opened again, and for how long in all."""
CHECK_S = 1.0
"""How often to look whether OraServer has been silent too long, or may be asked again."""
MAX_WORDS = 200
"""Characters of OraServer's own words in a reason."""
VERSION = 2


class ProtocolFault(Exception):
    """OraServer has broken the protocol in a way that ends the connection, or says that it ends it."""


@dataclass(slots=True)
class Multiplex:
    """All streams of a connection, and their turns."""

    hello: BridgeHello
    tries: Iterator[int]
    """Gives a higher number for each `open` of this process."""
    limits: SendingLimits = field(default_factory=SendingLimits)
    server: ServerHello | None = None
    """OraServer's hello."""
    frames: int = 0
    """Frames returned by `poll`."""
    retransmitted_bytes: int = 0
    """Bytes of audio that were lost and sent again."""
    changed: list[OutStream | PendingCancel] = field(default_factory=list)
    """Streams and cancels to which something has happened since the caller last emptied it."""

    _control: deque[PendingCancel | BridgeHello] = field(default_factory=deque)
    _waiting: deque[OutStream] = field(default_factory=deque)
    _streams: dict[int, OutStream] = field(default_factory=dict)
    """The opened ones that are not over, by number."""
    _turns: StreamTurns = field(default_factory=StreamTurns)
    _cancels: PendingCancels = field(default_factory=PendingCancels)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _heard_at: float = float("-inf")
    """When OraServer has sent the last message."""
    _throughput: Throughput = field(default_factory=Throughput)
    _check_at: float | None = None
    """When `check` has to be called. It stays until it was called, however often `next_time` is asked before."""

    # ---- what the links do

    @property
    def idle(self) -> bool:
        """Whether it has no stream and no cancel that is not over."""
        return not (self._streams or self._waiting or self._cancels or self._control)

    def add(self, stream: OutStream, now: float) -> None:
        """A new stream: it is opened when OraServer takes one more."""
        stream.waits_since = now
        self._waiting.append(stream)

    def offered(self, stream: OutStream, now: float) -> None:
        """Audio was offered to this stream, or it was finished."""
        self._turns.has_more(stream, now)
        self._note_over(stream)

    def drop(self, stream: OutStream) -> None:
        """Send nothing more of this stream."""
        stream.drop()
        self._forget(stream)

    def cancel(self, message: CancelUtterances) -> PendingCancel:
        """Send `cancel` before everything that is not sent yet, and drop the streams that it covers."""
        for stream in [*self._streams.values(), *self._waiting]:
            if covers(message, stream.request.session, stream.request.seq):
                self.drop(stream)
                self.changed.append(stream)
        self._control.append(pending := PendingCancel(message))
        return pending

    def listener_changed(self, listener: Listener, now: float) -> None:
        """A listener has less audio than before: a cancel has dropped some of it."""
        self._turns.listener_changed(listener, now)

    def lose(self, reason: str) -> None:
        """The connection has ended: all streams are broken."""
        for stream in [*self._streams.values(), *self._waiting]:
            stream.broke(reason)
            self.changed.append(stream)
        for item in self._control:
            if isinstance(item, PendingCancel):
                self._cancels.sent(item, 0.0)
        self.changed.extend(self._cancels.lose())
        self._streams.clear()
        self._waiting.clear()
        self._control.clear()

    # ---- what OraServer sends

    def received(self, message: WireMessage, now: float) -> None:
        """Take a message of OraServer. Raises ProtocolFault."""
        self._heard_at = now
        if isinstance(message, ServerHello):
            self._greeted(message)
        elif self.server is None:
            raise ProtocolFault(f"`{message.TYPE}` came before `hello`")
        elif isinstance(message, StreamAck):
            self._acked(message, now)
        elif isinstance(message, StreamOpened):
            if (stream := self._streams.get(message.stream)) is not None:
                stream.opened(message, now)
                self.changed.append(stream)
                self._note_over(stream)
                self._turns.has_more(stream, now)
        elif isinstance(message, PlayedUntil):
            if (stream := self._streams.get(message.stream)) is not None:
                stream.played(message.ms, now)
                self._turns.listener_changed(stream.listener, now)
        elif isinstance(message, UtterancesCleared):
            if (cancel := self._cancels.answered(message)) is not None:
                self.changed.append(cancel)
        elif isinstance(message, ServerError):
            self._refused(message, now)

    def check(self, now: float) -> None:
        """Break the streams for which OraServer has been silent too long.

        Raises ProtocolFault if it has said nothing at all in that time, or has not answered a cancel.
        """
        self._check_at = None
        for stream in list(self._streams.values()):
            if stream.answer_due is not None and now >= stream.answer_due:
                if now >= self._heard_at + SILENT_S:  # a new stream on this connection would have no answer either
                    raise ProtocolFault(f"OraServer has sent nothing for {SILENT_S:g} s")
                stream.broke(f"OraServer has acknowledged nothing for {SILENT_S:g} s")
            stream.check(now)
            self._note_over(stream)
        for stream in [stream for stream in self._waiting if now >= stream.waits_since + STUCK_S]:
            stream.broke(f"OraServer takes no more streams since {STUCK_S:g} s")
            self._note_over(stream)
        if (due := self._cancels.next_time) is not None and now >= due:
            if now >= self._heard_at + SILENT_S:
                raise ProtocolFault(f"OraServer has sent nothing for {SILENT_S:g} s")
            self.changed.extend(self._cancels.give_up(now))

    # ---- what is sent

    def poll(self, now: float, *, waited: bool = False) -> WireMessage | None:
        """Return the next frame, which must be written now, or None. `waited`: the socket was full before this call."""
        if self.server is None:
            return None
        message = self._next_control(now) if self._control else None
        if message is None and self._waiting:
            message = self._next_open(now)
        if message is None:
            message = self._next_of_streams(now, waited=waited)
        if message is not None:
            self.frames += 1
        return message

    def next_time(self, now: float, *, room: bool = True) -> float | None:
        """When to call `check` and `poll` again if nothing happens before. Without `room` nothing can be sent."""
        if self.idle:
            self._check_at = None
        elif self._check_at is None:
            self._check_at = now + CHECK_S
        turn = self._turns.next_time if room else None
        return min((at for at in (self._check_at, turn) if at is not None), default=None)

    # ---- inside

    def _greeted(self, hello: ServerHello) -> None:
        if self.server is not None:
            raise ProtocolFault("a second `hello` came")
        if hello.version != VERSION:
            raise ProtocolFault(f"OraServer speaks version {hello.version} of the protocol, and this bridge {VERSION}")
        if hello.credit < MIN_CREDIT:  # hardly a frame: it would send little, and wait for an ack each time
            raise ProtocolFault(f"`hello` has a `credit` of {hello.credit} bytes, and the least is {MIN_CREDIT}")
        self.server = hello
        self.limits.crc = hello.crc
        self._control.appendleft(self.hello)

    def _acked(self, ack: StreamAck, now: float) -> None:
        if ack.seen > self.frames:
            raise ProtocolFault(f"OraServer has seen {ack.seen} frames, and {self.frames} were sent")
        self._throughput.acked(ack.seen, now)
        stream = self._streams.get(ack.stream)
        if stream is None:
            return
        stream.ack(ack, now)
        self.changed.append(stream)
        self._note_over(stream)
        self._turns.has_more(stream, now)

    def _refused(self, error: ServerError, now: float) -> None:
        said = f"{error.code}: {error.message}" if error.message else error.code
        words = f"OraServer has answered {cleaned(said, MAX_WORDS) or 'an error without a code'}"
        if error.fatal or (error.stream is None and error.session is None):
            raise ProtocolFault(words)
        if error.stream is None:
            stale = error.code == "stale_epoch"
            self.changed.extend(self._cancels.refused(error.session or "", stale=stale))
            return
        stream = self._streams.get(error.stream)
        if stream is None:
            return
        if error.code == "busy":
            del self._streams[stream.number]
            stream.busy(now, BUSY_AGAIN_S, BUSY_S)
            if stream.state is StreamState.WAITING:
                self.add(stream, now)
                return
        else:
            stream.broke(words, error.code)
        self.changed.append(stream)
        self._forget(stream)

    def _next_control(self, now: float) -> WireMessage:
        item = self._control.popleft()
        if isinstance(item, BridgeHello):
            return item
        self._cancels.sent(item, now)
        return item.message

    def _next_open(self, now: float) -> OpenStream | None:
        while (stream := self._first_to_open(now)) is not None:
            self._waiting.remove(stream)
            self.changed.append(stream)
            if self._takes_format_of(stream):
                return self._open(stream, now)
        return None

    def _first_to_open(self, now: float) -> OutStream | None:
        assert self.server is not None
        if len(self._streams) >= self.server.streams:
            return None
        return next((stream for stream in self._waiting if now >= stream.not_before), None)

    def _takes_format_of(self, stream: OutStream) -> bool:
        """Whether OraServer can use the format of the stream; if not, the stream is broken."""
        assert self.server is not None
        if (name := stream.request.start.format) in self.server.formats:
            return True
        known = cleaned(", ".join(self.server.formats), MAX_WORDS)
        stream.broke(f"OraServer does not take {name}: `formats` of its hello has {known or 'nothing'}", "refused")
        return False

    def _open(self, stream: OutStream, now: float) -> OpenStream:
        assert self.server is not None
        asked, start, number = stream.request, stream.request.start, next(self._numbers)
        stream.opens(number, self.server.credit, now)
        self._streams[number] = stream
        self._turns.has_more(stream, now)
        return OpenStream(
            number,
            asked.session,
            asked.phone,
            asked.request,
            asked.seq,
            asked.epoch,
            next(self.tries),
            asked.acked,
            start.format,
            start.sample_rate_hz,
            start.channels,
            start.engine,
            start.language,
            fresh=stream.state is StreamState.SENDING,
        )

    def _next_of_streams(self, now: float, *, waited: bool) -> WireMessage | None:
        stream = self._turns.next(now)
        if stream is None:
            return None
        carries = self._throughput
        pace = LinkPace(carries.ack_s, carries.bytes_per_s(now), carries.surely_bytes_per_s(now), self._turns.competing)
        before = stream.retransmitted_bytes
        message = stream.take(self.frames + 1, now, pace)
        if isinstance(message, AudioRange):
            self.retransmitted_bytes += stream.retransmitted_bytes - before
            self._turns.sent(stream, len(message.data))
            carries.sent(self.frames + 1, len(message.data), now, busy=waited)
        self._note_over(stream)
        return message

    def _note_over(self, stream: OutStream) -> None:
        if stream.over:
            self.changed.append(stream)
            self._forget(stream)

    def _forget(self, stream: OutStream) -> None:
        self._streams.pop(stream.number, None)
        if stream in self._waiting:
            self._waiting.remove(stream)
