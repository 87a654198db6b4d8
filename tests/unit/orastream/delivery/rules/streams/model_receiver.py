"""An OraServer for tests of the bridge's rules, written from docs/reference/oraserver-v2.md alone.

It checks each frame that it gets: an AssertionError is a fault of the bridge.
"""

# length: one receiver; each message that it handles changes the same state

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol
from zlib import crc32

from orastream.contract.oraserver.from_bridge import (
    AudioRange,
    BridgeHello,
    CancelUtterances,
    OpenStream,
    SentenceText,
    StreamEnd,
    unpack_from_bridge,
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

Session = tuple[str, str]
"""Node and session."""

MISSING, STORED, SKIPPED = 0, 1, 2
ACK_S, ACK_BYTES, SIGN_S = 0.25, 64 << 10, 2.0
PLAYED_BYTES_MS = 16
"""Bytes of a millisecond of audio."""


class Clock(Protocol):
    """The simulated time."""

    now: float

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call it then."""


@dataclass(slots=True)
class Faults:
    """What the receiver does wrong, or only slowly."""

    drop: float = 0.0
    """The probability that it drops an audio frame."""
    damage: float = 0.0
    """The probability that an audio frame comes damaged."""
    lose_acks: float = 0.0
    delay_acks_s: float = 0.0
    """An ack is sent up to so many seconds later: those of different streams change their order."""
    busy: int = 0
    """It answers so many `open`s with busy."""
    mute_cancels: int = 0
    """It gives no answer to so many `cancel`s."""
    failed: int = 0
    """It answers so many `open`s with failed."""
    forget: bool = False
    """At the next `open` of an utterance that it has, it has forgotten a part."""
    skip: bool = False
    """It skips the next gap that it sees."""
    drop_ranges: float = 0.0
    """The probability that it drops what it has above `upto` when an audio frame comes."""
    stalled: set[str] = field(default_factory=set)
    """Sessions whose phones take nothing: the limit does not rise."""


@dataclass(slots=True)
class KeptSentence:
    """A sentence with the words that are known."""

    ms: int
    words: list[tuple[int, ...]]

    def add(self, words: Iterable[tuple[int, ...]]) -> None:
        """Add those that begin after the last one that it has."""
        after = self.words[-1][2] if self.words else -1
        self.words += [word for word in words if word[2] > after]


@dataclass(slots=True)
class Kept:
    """What the receiver has of one utterance."""

    seq: int
    file: bytes
    """What the bridge has to send, for the check."""
    marks: dict[int, int]
    """Offset where a sentence begins → its number."""
    words: dict[int, tuple[int, ...]]
    """Offset of the last byte of a word → the number of its sentence, and the word as in `text`."""
    flags: bytearray = field(default_factory=bytearray)
    """For each byte: MISSING, STORED or SKIPPED."""
    upto: int = 0
    size: int | None = None
    cancelled: bool = False
    given: int = 0
    """The offset of the application, which is stored before it gets the bytes."""
    application: bytearray = field(default_factory=bytearray)
    left_out: set[int] = field(default_factory=set)
    """The offsets below `given` that the application did not get, because they were skipped."""
    sentences: dict[int, KeptSentence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.flags = bytearray(len(self.file))

    @property
    def whole(self) -> bool:
        return self.upto == self.size

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        found = re.finditer(rb"[\1\2]+", self.flags[self.upto :])
        return tuple((self.upto + m.start(), self.upto + m.end()) for m in found)[:64]

    def store(self, at: int, size: int, flag: int = STORED) -> None:
        self.flags[at : at + size] = bytes(old or flag for old in self.flags[at : at + size])
        missing = self.flags.find(MISSING, self.upto)
        self.upto = len(self.file) if missing < 0 else missing

    def drop_ranges(self) -> int:
        """Return how many bytes they had."""
        size = len(self.flags) - self.upto - self.flags.count(MISSING, self.upto)
        self.flags[self.upto :] = bytes(len(self.flags) - self.upto)
        return size

    def forget(self, upto: int) -> None:
        self.flags[upto:] = bytes(len(self.flags) - upto)
        self.upto, self.size = upto, None

    def give(self) -> None:
        """Give the application what follows its offset."""
        first, self.given = self.given, max(self.given, self.upto)
        for at in range(first, self.given):
            if self.flags[at] == STORED:
                self.application.append(self.file[at])
            else:
                self.left_out.add(at)


@dataclass(slots=True, eq=False)
class Incoming:
    """A stream of a connection."""

    number: int
    session: Session
    kept: Kept
    over: bool = False
    """Superseded, cancelled or refused: further frames are ignored."""
    limit: int = 0
    unacked: int = 0
    ack_planned: bool = False


class ReceiverConnection:
    """One connection, as the receiver sees it."""

    def __init__(self, receiver: ModelReceiver, send: Callable[[bytes], None]) -> None:
        self.receiver, self._send = receiver, send
        self.closed = False
        self.seen = 0
        self.node = self.bridge = ""
        self.streams: dict[int, Incoming] = {}
        self.cancels: list[CancelUtterances] = []
        self.dropped_bytes = 0
        self.send(receiver.hello)

    def send(self, message: WireMessage) -> None:
        if not self.closed:
            self._send(message.pack())

    def frame(self, payload: bytes) -> None:
        """A frame of the bridge has arrived."""
        self.seen += 1
        message = unpack_from_bridge(payload)
        assert (self.seen == 1) == isinstance(message, BridgeHello), "the first frame is `hello`, and no other one"
        if isinstance(message, BridgeHello):
            assert message.version == 2
            self.node, self.bridge = message.node, message.bridge
        elif isinstance(message, OpenStream):
            self._open(message)
        elif isinstance(message, CancelUtterances):
            self._cancel(message)
        elif isinstance(message, SentenceText | AudioRange | StreamEnd):
            assert message.stream in self.streams, "it was never opened"
            self._of_stream(self.streams[message.stream], message)

    def _open(self, message: OpenStream) -> None:
        receiver, faults = self.receiver, self.receiver.faults
        assert message.stream > max(self.streams, default=0), "numbers of streams count up"
        session = (self.node, message.session)
        kept = receiver.utterance(session, message.seq)
        stream = self.streams[message.stream] = Incoming(message.stream, session, kept, over=True)
        if (message.epoch, message.attempt) <= receiver.fence[session]:
            self.send(ServerError("stale_epoch", stream=message.stream))
            return
        if message.fresh:
            mistaken = self.bridge in receiver.forgetful_bridges
            assert mistaken or not any(kept.flags), "somebody has sent audio of it, and it is called fresh"
        if faults.failed:
            faults.failed -= 1
            self.send(ServerError("failed", stream=message.stream))
            return
        unfinished = sum(not one.over and not one.kept.whole for one in self.streams.values() if one.session != session)
        if faults.busy or unfinished >= receiver.hello.streams:
            faults.busy = max(faults.busy - 1, 0)
            self.send(ServerError("busy", stream=message.stream))
            return
        receiver.fence[session] = (message.epoch, message.attempt)
        for old in receiver.streams_of(session):
            old.over = True
        if receiver.is_cancelled(session, message.seq):
            self.send(ServerError("cancelled", stream=message.stream))
            return
        for seq, lower in receiver.kept[session].items():
            final = lower.whole or receiver.is_cancelled(session, seq)
            assert seq >= message.seq or final, "a lower utterance is not final"
        stream.over = False
        self._answer_open(stream, fresh=message.fresh)

    def _answer_open(self, stream: Incoming, *, fresh: bool) -> None:
        kept, receiver = stream.kept, self.receiver
        if receiver.faults.forget and kept.upto and not kept.whole:
            receiver.faults.forget = False
            kept.forget(receiver.random.randint(0, kept.upto))
        stalled = stream.session[1] in receiver.faults.stalled
        stream.limit = kept.upto if stalled and not fresh else kept.upto + receiver.hello.credit
        self.send(StreamOpened(stream.number, kept.upto, stream.limit, kept.ranges, kept.size))
        self._ack(stream)
        self._keep_alive(stream)

    def _of_stream(self, stream: Incoming, message: SentenceText | AudioRange | StreamEnd) -> None:
        covered = any(covered_by(cancel, stream.session[1], stream.kept.seq) for cancel in self.cancels)
        assert not covered, "a frame of a stream after its cancel"
        if stream.over:
            return
        if isinstance(message, AudioRange):
            self._audio(stream, message)
        elif isinstance(message, SentenceText):
            self._text(stream.kept, message)
        else:
            assert message.size == len(stream.kept.file)
            stream.kept.size = message.size
            self._ack(stream)

    def _text(self, kept: Kept, message: SentenceText) -> None:
        words = message.words or ()
        sentence = kept.sentences.get(message.number)
        if sentence is None or sentence.ms != message.ms:
            sentence = kept.sentences[message.number] = KeptSentence(message.ms, [])
        sentence.add(words)
        assert message.text == f"sentence {message.number}", "each `text` is complete"

    def _audio(self, stream: Incoming, message: AudioRange) -> None:
        kept, faults, random = stream.kept, self.receiver.faults, self.receiver.random
        at, past = message.at, message.at + len(message.data)
        assert past <= stream.limit, "audio above the limit"
        assert kept.file[at:past] == message.data
        assert (message.crc is None) != self.receiver.hello.crc
        if random.random() < faults.drop_ranges:
            self.dropped_bytes += kept.drop_ranges()
        begun = [number for offset, number in kept.marks.items() if at <= offset < past]
        assert kept.sentences.keys() >= set(begun), "audio came before the sentence that begins in it"
        for offset, (number, *word) in kept.words.items():
            if at <= offset < past:
                assert tuple(word) in kept.sentences[number].words, "audio came before the word that ends in it"
        if random.random() < faults.drop:
            self.dropped_bytes += len(message.data)
            self._plan_ack(stream)
            return
        data = message.data
        if self.receiver.hello.crc and random.random() < faults.damage:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if message.crc is not None and crc32(data) != message.crc:
            self.dropped_bytes += len(data)
            self._ack(stream)
            return
        gap = at > kept.upto or bool(kept.ranges)
        kept.store(at, len(data))
        if faults.skip and kept.ranges:
            faults.skip = False
            kept.store(kept.upto, kept.ranges[0][0] - kept.upto, SKIPPED)
        kept.give()
        stream.unacked += len(data)
        if gap or stream.unacked >= ACK_BYTES or stream.kept.size is not None:
            self._ack(stream)
        else:
            self._plan_ack(stream)

    def _cancel(self, message: CancelUtterances) -> None:
        receiver, session = self.receiver, (self.node, message.session)
        self.cancels.append(message)
        if message.epoch < receiver.fence[session][0]:
            self.send(ServerError("stale_epoch", session=message.session))
            return
        receiver.fence[session] = max(receiver.fence[session], (message.epoch, 0))
        receiver.cancels[session].append(message)
        ended = [kept for seq, kept in receiver.kept[session].items() if covered_by(message, message.session, seq)]
        for kept in ended:
            kept.cancelled = True
        for stream in receiver.streams_of(session):
            stream.over = stream.over or stream.kept.cancelled
        if receiver.faults.mute_cancels:
            receiver.faults.mute_cancels -= 1
            return
        rows = tuple((f"r.{kept.seq}", kept.seq, 0) for kept in ended)
        self.send(UtterancesCleared(message.session, rows, message.before, message.seq))

    def _plan_ack(self, stream: Incoming) -> None:
        if not stream.ack_planned:
            stream.ack_planned = True
            self.receiver.clock.after(ACK_S, lambda: self._planned_ack(stream))

    def _planned_ack(self, stream: Incoming) -> None:
        stream.ack_planned = False
        self._ack(stream)

    def _keep_alive(self, stream: Incoming) -> None:
        if not (self.closed or stream.over or stream.kept.whole):
            self._ack(stream)
            self.receiver.clock.after(SIGN_S, lambda: self._keep_alive(stream))

    def _ack(self, stream: Incoming) -> None:
        receiver, kept, faults = self.receiver, stream.kept, self.receiver.faults
        if self.closed or stream.over:
            return
        stream.unacked = 0
        if receiver.random.random() < faults.lose_acks:
            if kept.whole:  # the request's report waits for it: it is sent again
                receiver.clock.after(SIGN_S, lambda: self._ack(stream))
            return
        if stream.session[1] not in faults.stalled:
            stream.limit = max(stream.limit, kept.upto + receiver.hello.credit)
        skipped = kept.flags.count(SKIPPED, 0, kept.upto) or None
        if receiver.hello.played and receiver.random.random() < 0.5:
            self.send(PlayedUntil(stream.number, receiver.random.randint(0, kept.given) // PLAYED_BYTES_MS))
        ack = StreamAck(stream.number, kept.upto, stream.limit, self.seen, kept.ranges, kept.size, skipped)
        if faults.delay_acks_s:
            receiver.clock.after(receiver.random.uniform(0, faults.delay_acks_s), lambda: self.send(ack))
        else:
            self.send(ack)


class ModelReceiver:
    """All processes of the receiver, with their one store."""

    def __init__(self, clock: Clock, hello: ServerHello, random: Random, find: Callable[[Session, int], Kept]) -> None:
        self.clock, self.hello, self.random, self._find = clock, hello, random, find
        self.faults = Faults()
        self.forgetful_bridges: set[str] = set()
        """Names of bridges that do not know what earlier ones have sent."""
        self.connections: list[ReceiverConnection] = []
        self.kept: defaultdict[Session, dict[int, Kept]] = defaultdict(dict)
        self.fence: defaultdict[Session, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.cancels: defaultdict[Session, list[CancelUtterances]] = defaultdict(list)

    def accept(self, send: Callable[[bytes], None]) -> ReceiverConnection:
        """A bridge has connected."""
        connection = ReceiverConnection(self, send)
        self.connections.append(connection)
        return connection

    def utterance(self, session: Session, seq: int) -> Kept:
        """What it has of this utterance."""
        if seq not in self.kept[session]:
            self.kept[session][seq] = self._find(session, seq)
        return self.kept[session][seq]

    def streams_of(self, session: Session) -> list[Incoming]:
        """All streams of the session, over all connections."""
        return [one for each in self.connections for one in each.streams.values() if one.session == session]

    def is_cancelled(self, session: Session, seq: int) -> bool:
        """Whether a cancel covers it."""
        return any(covered_by(cancel, session[1], seq) for cancel in self.cancels[session])


def covered_by(cancel: CancelUtterances, session: str, seq: int) -> bool:
    """Whether a cancel ends this utterance."""
    if session != cancel.session:
        return False
    return seq == cancel.seq or (cancel.before is not None and seq < cancel.before)
