"""One connection of protocol v2 at OraServer: a machine without I/O.

`BridgeConnection` takes each frame and the time (monotonic seconds), and returns the messages to send. After `opened`
call `received` for each frame, and `poll` at `next_time` at the latest; when the socket has ended, call `closed`.
"""

from __future__ import annotations

from orastream.contract.errors import Undecodable
from orastream.contract.oraserver.from_bridge import (
    AudioRange,
    BridgeHello,
    CancelUtterances,
    OpenStream,
    SentenceText,
    StreamEnd,
    unpack_from_bridge,
)
from orastream.contract.oraserver.from_server import ServerError, UtterancesCleared
from orastream.contract.oraserver.wire import WireMessage
from services.oraserver.stream_faults import StreamCounts, StreamMischief
from services.oraserver.v2 import checks
from services.oraserver.v2.admission import StreamAdmission
from services.oraserver.v2.answers import CloseConnection, Output, StreamAnswers, refusal
from services.oraserver.v2.intake import StreamIntake
from services.oraserver.v2.protocol_error import ProtocolBroken
from services.oraserver.v2.store import Store
from services.oraserver.v2.stream import OPENED_HOLD_S, ReceivingStream, StreamPhase
from services.oraserver.v2.terms import VERSION, StreamTerms
from services.oraserver.violations import StreamRule, Violation

MAX_OTHER_BYTES = 256 << 10
PROTOCOL_CLOSE = 1002


class BridgeConnection:
    """The connection number `number` of the process, which a bridge has opened."""

    def __init__(
        self,
        store: Store,
        terms: StreamTerms,
        mischief: StreamMischief | None = None,
        counts: StreamCounts | None = None,
        number: int = 1,
    ) -> None:
        self.number = number
        self.seen = 0
        """Binary frames that were read, `hello` included."""
        self.hello: BridgeHello | None = None
        self._store, self._terms = store, terms
        self._mischief = mischief or StreamMischief()
        self._counts = counts or StreamCounts()
        self._answers = StreamAnswers(terms, self._mischief, self._counts)
        self._intake = StreamIntake(store, terms, self._mischief, self._counts)
        self._admission = StreamAdmission(store, terms, self._mischief)
        self._streams: dict[int, ReceivingStream] = {}
        """Those whose frames are stored."""
        self._over: dict[int, StreamPhase] = {}
        """What has become of the others."""
        self._reporting: dict[int, ReceivingStream] = {}
        """Those of which `played` is reported."""
        self._last_stream = 0
        self._touched: ReceivingStream | None = None
        self._generation = store.generation
        self._ended = False

    @property
    def unfinished(self) -> int:
        """How many of its streams are unfinished."""
        return sum(one.unfinished for one in self._streams.values())

    def opened(self) -> list[Output]:
        """The messages to send first."""
        return [self._terms.hello]

    def received(self, payload: bytes, now: float) -> list[Output]:
        """Take a binary frame. Raises OSError if the storage does: then the connection must be aborted."""
        if self._ended:
            return []
        self.seen += 1
        out = self._forgotten()
        try:
            message = unpack_from_bridge(payload)
            if not isinstance(message, AudioRange) and len(payload) > MAX_OTHER_BYTES:
                self._broken("v2-frame-size", f"a frame of {len(payload)} bytes that is not audio")
            if message is not None:
                out += self._take(message, now)
        except Undecodable as exc:
            out += self._fatal("v2-frame", exc.problem)
        except ProtocolBroken as exc:
            out += self._fatal(exc.rule, exc.detail, exc.stream)
        if self._mischief.closes():
            self._counts.closed_connections += 1
            self._ended = True
            out.append(CloseConnection(None))
        return out

    def received_text(self) -> list[Output]:
        """Take a text frame, which v2 does not have."""
        return [] if self._ended else self._fatal("v2-text-frame", "frames of protocol v2 are binary")

    def poll(self, now: float) -> list[Output]:
        """What is due by now. Raises OSError if the storage does."""
        if self._ended:
            return []
        self._store.poll(now)
        out = [*self._forgotten(), *self._answers.released(now)]
        for stream in list(self._streams.values()):
            if stream.phase is StreamPhase.OPEN:
                out += self._due(stream, now)
            else:
                self._drop(stream)
        for number, stream in list(self._reporting.items()):
            utterance = stream.utterance
            never_opened = stream.opened_at is not None and stream.phase is not StreamPhase.OPEN
            if utterance.reporter is not stream or utterance.cancelled or never_opened:
                del self._reporting[number]
            elif stream.opened_at is None:
                out += self._answers.played(stream, now)
                if utterance.play_ended:
                    del self._reporting[number]
        return out

    def next_time(self, now: float) -> float | None:
        """When `poll` has something to do, if nothing comes before; None if it has not."""
        if self._ended:
            return None
        times = [self._store.next_time(now), self._answers.next_release]
        times += [self._time_of(stream) for stream in (*self._streams.values(), *self._reporting.values())]
        return min((time for time in times if time is not None), default=None)

    def new_time(self) -> float | None:
        """When `poll` has something to do because of the last frame; None if it has not.

        It costs the same for any number of streams, so it can be asked after each frame.
        """
        times = [self._answers.next_release, self._time_of(self._touched) if self._touched else None]
        return min((time for time in times if time is not None), default=None)

    def _time_of(self, stream: ReceivingStream) -> float | None:
        if stream.opened_at is not None:
            return stream.opened_at if stream.phase is StreamPhase.OPEN else None
        times = [stream.ack_time()]
        if stream.number in self._reporting:
            times.append(self._answers.played_time(stream))
        return min((time for time in times if time is not None), default=None)

    def closed(self, now: float) -> None:
        """The socket has ended. What is unfinished is kept for `keep_ms`."""
        self._ended = True
        for stream in self._streams.values():
            if stream.phase is StreamPhase.OPEN:
                self._store.break_off(stream.utterance, now)
                streams = self._store.session(stream.utterance.session).streams
                if stream in streams:
                    streams.remove(stream)
        self._streams.clear()

    # ---- frames

    def _take(self, message: WireMessage, now: float) -> list[Output]:
        if isinstance(message, BridgeHello):
            if self.hello is not None:
                raise ProtocolBroken("v2-hello", "a second hello")
            if message.version != VERSION:
                raise ProtocolBroken("v2-hello", f"version {message.version}")
            self.hello = message
            return []
        if self.hello is None:
            raise ProtocolBroken("v2-hello", f"{message.TYPE} before hello")
        if isinstance(message, OpenStream):
            return self._open(message, self.hello, now)
        if isinstance(message, CancelUtterances):
            return self._cancel(message, self.hello, now)
        assert isinstance(message, AudioRange | SentenceText | StreamEnd)
        stream = self._stream_of(message)
        if stream is None:
            return []
        self._intake.take(stream, message, self._several_send, now)
        forgotten = self._forgotten()
        return forgotten or self._due(stream, now)

    def _several_send(self) -> bool:
        return sum(one.unfinished and not one.ended for one in self._streams.values()) > 1

    def _open(self, message: OpenStream, hello: BridgeHello, now: float) -> list[Output]:
        number = message.stream
        if number <= self._last_stream:
            raise ProtocolBroken("v2-stream-number", f"stream {number} after stream {self._last_stream}")
        self._last_stream = number
        self._over[number] = StreamPhase.REFUSED  # until it is accepted
        refused = self._admission.refusal(message, hello.node, lambda: self.unfinished)
        if refused is not None:
            self._counts.refused_opens += 1
            return [refused]
        del self._over[number]
        ever_acked = self._store.ever_acked((hello.node, message.session), message.seq)
        utterance = self._store.open(hello.node, message, (self.number, hello.bridge), now)
        for problem in checks.changed(utterance, message):
            self._report(problem, utterance.number, message.session)
        for problem in checks.opening(message, ever_acked, bool(utterance.arrived.total)):
            self._report(problem, utterance.number, message.session)
        self._counts.forgotten_bytes += max(message.acked - utterance.upto, 0)
        stream = ReceivingStream(number, utterance, message.fresh, self._terms.credit if message.fresh else 0)
        stream.opened_at = now if message.fresh else now + OPENED_HOLD_S
        self._streams[number] = utterance.reporter = stream
        self._store.session(utterance.session).streams.append(stream)
        if self._terms.played:
            self._reporting[number] = stream
        return self._due(stream, now)

    def _cancel(self, message: CancelUtterances, hello: BridgeHello, now: float) -> list[Output]:
        if (message.before is None) == (message.seq is None):
            raise ProtocolBroken("v2-frame", "`cancel` needs one of `before` and `seq`")
        key, session = (hello.node, message.session), self._store.session((hello.node, message.session))
        if not session.admits_cancel(message.epoch):
            detail = f"the fence of the session is {session.fence}"
            return [refusal("stale_epoch", detail, session=message.session)]
        self._store.raise_fence(key, max((message.epoch, 0), session.fence or (0, 0)))
        cleared, ended = self._store.cancel(key, message.before, message.seq, now)
        for stream in ended:
            if self._streams.get(stream.number) is stream:
                stream.phase = StreamPhase.CANCELLED_HERE
        return [UtterancesCleared(message.session, tuple(cleared), message.before, message.seq)]

    def _stream_of(self, message: AudioRange | SentenceText | StreamEnd) -> ReceivingStream | None:
        """The stream of a frame; None if the frame is to be ignored."""
        number = message.stream
        stream = self._streams.get(number)
        if stream is not None:
            if stream.phase is StreamPhase.OPEN:
                return stream
            self._drop(stream)
        phase = self._over.get(number)
        if phase is None:
            raise ProtocolBroken("v2-unknown-stream", f"{message.TYPE} of stream {number}, which was never opened")
        if phase is StreamPhase.CANCELLED_HERE:
            self._broken("v2-after-cancel", f"{message.TYPE} after a cancel on the same connection")
        return None

    # ---- what is due

    def _due(self, stream: ReceivingStream, now: float) -> list[Output]:
        self._touched = stream
        out: list[Output] = []
        if stream.opened_at is not None and stream.opened_at <= now:
            out.append(self._answers.opened(stream, now))
            stream.due = stream.utterance.final is not None
        elif stream.opened_at is None:
            self._answers.raise_limit(stream)
        time = stream.ack_time()
        if time is not None and time <= now:
            out += self._answers.ack(stream, self.seen, now)
        return out

    def _drop(self, stream: ReceivingStream) -> None:
        del self._streams[stream.number]
        self._over[stream.number] = stream.phase

    def _forgotten(self) -> list[Output]:
        """An `error` for each stream, once, if the store has forgotten everything."""
        if self._generation == self._store.generation:
            return []
        self._generation = self._store.generation
        out: list[Output] = []
        for number in self._streams:
            self._over[number] = StreamPhase.REFUSED
            out.append(refusal("failed", "everything was forgotten", number))
        self._streams.clear()
        self._reporting.clear()
        return out

    # ---- violations

    def _fatal(self, rule: StreamRule, detail: str, stream: ReceivingStream | None = None) -> list[Output]:
        if stream is None:
            self._broken(rule, detail)
        else:
            self._report(Violation(rule, detail), stream.utterance.number, stream.utterance.begun.session)
        self._ended = True
        return [ServerError("protocol", f"{rule}: {detail}", fatal=True), CloseConnection(PROTOCOL_CLOSE)]

    def _broken(self, rule: StreamRule, detail: str, session: str | None = None) -> None:
        self._report(Violation(rule, detail), None, session)

    def _report(self, violation: Violation, number: int | None, session: str | None) -> None:
        self._store.report(violation, number, session)
