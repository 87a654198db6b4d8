"""Frames of a bridge of protocol v2, one by one, against a BridgeConnection in memory."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from orastream.contract.oraserver.from_bridge import (
    AudioRange,
    BridgeHello,
    CancelUtterances,
    OpenStream,
    SentenceText,
    StreamEnd,
)
from orastream.contract.oraserver.wire import WireMessage
from services.oraserver.stream_faults import StreamCounts, StreamFaults, StreamMischief
from services.oraserver.v2.answers import Output
from services.oraserver.v2.connection import BridgeConnection
from services.oraserver.v2.storage import MemoryStorage, StreamStorage
from services.oraserver.v2.store import Store
from services.oraserver.v2.terms import StreamTerms

HELLO = BridgeHello(2, "tts", "ws_bridge-1", "orastream/0")
TERMS = StreamTerms(credit=100_000)


def opening(stream: int = 1, **changes: Any) -> OpenStream:
    """An `open` of request r1 in session s1."""
    fields: dict[str, Any] = {
        "stream": stream,
        "session": "s1",
        "phone": "p1",
        "request": "r1",
        "seq": 10,
        "epoch": 5,
        "attempt": stream,
        "acked": 0,
        "format": "pcm16",
        "rate": 8_000,
        "channels": 1,
        "engine": "espeak",
        "language": "ko-KR",
    }
    return OpenStream(**(fields | changes))


def fresh(stream: int = 1, **changes: Any) -> OpenStream:
    """An `open` after which audio may come at once."""
    return opening(stream, fresh=True, **changes)


def audio(
    at: int, size: int, stream: int = 1, *, fill: int = 0, ms: int | None = None, crc: bool = False
) -> AudioRange:
    """Audio whose bytes depend on their offset, and on `fill`."""
    data = bytes((at + i + fill) % 251 for i in range(size))
    return AudioRange(stream, at, data, ms, crc32(data) if crc else None)


def end(size: int, stream: int = 1, **changes: Any) -> StreamEnd:
    """The `end` of a file of 16-bit PCM with 8 kHz."""
    fields: dict[str, Any] = {"stream": stream, "status": "complete", "size": size, "ms": size // 16}
    return StreamEnd(**(fields | changes))


def text(number: int = 0, ms: int = 0, stream: int = 1, **changes: Any) -> SentenceText:
    """A sentence."""
    return SentenceText(stream, number, ms, f"문장 {number}.", **changes)


def cancel(before: int | None = None, seq: int | None = None, epoch: int = 5) -> CancelUtterances:
    """A barge-in into session s1."""
    return CancelUtterances("s1", epoch, before, seq)


class Bench:
    """A store, and connections to it. Time stands still unless `wait` is called."""

    def __init__(
        self, terms: StreamTerms = TERMS, faults: StreamFaults | None = None, storage: StreamStorage | None = None
    ) -> None:
        self.terms = terms
        self.now = 1_000.0
        self.storage = storage or MemoryStorage()
        self.mischief = StreamMischief(faults)
        self.counts = StreamCounts()
        self.connections = 0
        self.restart()

    def restart(self) -> None:
        """A new store with the events of the storage, and a connection to it."""
        self.store = Store(
            self.storage,
            keep_s=self.terms.keep_s,
            real_time=lambda: self.mischief.real_time,
            skips=lambda: self.mischief.skips,
        )
        if isinstance(self.storage, MemoryStorage):
            self.store.replay(list(self.storage.events), self.now)
        self.link = self.connect()

    def connect(self) -> BridgeConnection:
        """A further connection, after both hellos."""
        self.connections += 1
        link = BridgeConnection(self.store, self.terms, self.mischief, self.counts, self.connections)
        assert link.opened() == [self.terms.hello]
        assert link.received(HELLO.pack(), self.now) == []
        return link

    def send(self, *messages: WireMessage, on: BridgeConnection | None = None) -> list[Output]:
        """Send frames, and return all answers."""
        link = on or self.link
        return [answer for message in messages for answer in link.received(message.pack(), self.now)]

    def wait(self, seconds: float, on: BridgeConnection | None = None) -> list[Output]:
        """Let time pass, with a poll whenever one is due; returns what was sent."""
        link, until, out = on or self.link, self.now + seconds, []
        while (time := link.next_time(self.now)) is not None and time <= until:
            self.now = max(self.now, time)
            out += link.poll(self.now)
        self.now = until
        return out

    @property
    def rules(self) -> list[str]:
        """The rules that were broken, those of connections first."""
        counts = [*self.store.connection_violations.values(), *(u.violations for u in self.store.utterances.values())]
        return [violation.rule for one in counts for violation, n in one.by_kind.items() for _ in range(n)]

    def given(self, number: int = 1) -> bytes:
        """What the application has got of an utterance."""
        assert isinstance(self.storage, MemoryStorage)
        return bytes(self.storage.given[number])
