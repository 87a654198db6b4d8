"""The sink's side of a connection of protocol v2: decodes headers, stores nothing, and acks by the rules of the page.

Nothing is lost on a connection, so a stream's `upto` is the end of its last frame. Without checksums. With `plays` its
phones play in real time, and it reports `played`.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgpack

from tests.bench.sink_player import SinkPlayer

if TYPE_CHECKING:
    from tests.bench.sink import Counts

SUBPROTOCOL = "orastream.v2"
CREDIT = 256 << 10
ACK_BYTES, ACK_S, IDLE_ACK_S, TICK_S = 64 << 10, 0.25, 2.0, 0.05
BINARY, CLOSE, PING = 0x2, 0x8, 0x9
AUDIO = b"\xa1t\xa5audio\xa1s"
"""What follows the map's first byte in a frame of audio, as the bridge writes it."""
HEAD_BYTES = 48
"""As many bytes have all of such a frame before its data."""
FORMATS = ("wav", "pcm16", "opus", "flac", "mulaw", "alaw", "mp3", "aac")


@dataclass(slots=True)
class _Stream:
    number: int
    session: str
    acked_at: float
    upto: int = 0
    unacked: int = 0
    chunks: int = 0
    last_ns: int = 0
    """When its last frame of audio arrived."""
    cancelled: bool = False


class StreamSink:
    """The streams of one connection. `send` writes bytes to it."""

    def __init__(self, counts: Counts, chunk_bytes: int, send: Callable[[bytes], None], *, plays: bool = False) -> None:
        """`chunk_bytes`: the size of the load's chunks, which are counted; 0: none is."""
        self._counts, self._chunk_bytes, self._send = counts, chunk_bytes, send
        self._streams: dict[int, _Stream] = {}
        self._waiting: dict[int, _Stream] = {}
        """Those with bytes that have no ack."""
        self._collected_at = 0.0
        """When those that wait get their acks, together."""
        self._out: list[bytes] = []
        self._seen = 0
        self._player = SinkPlayer() if plays else None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._message({"t": "hello", "version": 2, "credit": CREDIT, "streams": 100_000, "played": plays} | _TERMS)
        self._flush()

    def close(self) -> None:
        """The connection has ended."""
        self._timer.cancel()

    def frames(self, view: memoryview, at: int, end: int) -> int:
        """Take the whole frames in `view[at:end]`; returns the start of the incomplete rest."""
        now = self._loop.time()
        while end - at >= 6:
            first, size, head = view[at], view[at + 1] & 0x7F, 6
            if size >= 126:
                head = 8 if size == 126 else 14
                if end - at < head:
                    break
                size = int.from_bytes(view[at + 2 : at + head - 4], "big")
            begin = at + head
            at = begin + size
            if at > end:
                at = begin - head
                break
            self._frame(first & 0x0F, view[begin - 4 : begin], view[begin:at], now)
        self._flush()
        return at

    def _frame(self, opcode: int, key: memoryview, payload: memoryview, now: float) -> None:
        if opcode == BINARY:
            self._seen += 1
            self._counts.frames += 1
            self._counts.bytes += len(payload)
            head = _unmasked(payload[:HEAD_BYTES], key)
            if head[1:11] == AUDIO:
                number, at = _integer(head, 11)
                offset, at = _integer(head, at + 3)
                size = int.from_bytes(head[at + 6 : at + 6 + (1 << head[at + 5] - 0xC4)], "big")
                self._audio(number, offset, size, now)
            else:
                self._other(msgpack.unpackb(_unmasked(payload, key)), now)
        elif opcode == PING:
            self._counts.pings += 1
            self._out.append(bytes((0x8A, len(payload))) + _unmasked(payload, key))
        elif opcode == CLOSE:
            self._out.append(bytes((0x88, len(payload))) + _unmasked(payload, key))

    def _audio(self, number: int, offset: int, size: int, now: float) -> None:
        stream, counts = self._streams.get(number), self._counts
        if stream is None:
            return
        if offset != stream.upto or stream.cancelled:
            counts.faults += 1
            return
        stream.last_ns = time.monotonic_ns()
        if not offset:
            counts.firsts_ns.setdefault(stream.session, array("q")).append(stream.last_ns)
        stream.upto += size
        if self._player is not None:
            self._player.got(number, stream.upto, now)
        stream.unacked += size
        while self._chunk_bytes and stream.upto >= (stream.chunks + 1) * self._chunk_bytes:
            stream.chunks += 1
            counts.chunk(stream.session)
        if not offset or stream.unacked >= ACK_BYTES:
            self._ack(stream, now)
        else:
            if not self._waiting:
                self._collected_at = (now // ACK_S + 1) * ACK_S
            self._waiting[number] = stream

    def _other(self, message: dict[str, object], now: float) -> None:
        kind = message["t"]
        if kind == "open":
            number, session = int(str(message["s"])), str(message["session"])
            self._streams[number] = _Stream(number, session, now)
            self._counts.sessions_ns.setdefault(session, array("q"))
            if self._player is not None:
                self._player.opened(number, session, str(message["request"]), _of(message, "seq"), _rate(message))
            self._message({"t": "opened", "s": number, "upto": 0, "limit": CREDIT})
        elif kind == "end":
            stream = self._streams.pop(int(str(message["s"])), None)
            if stream is not None:
                self._counts.completes += 1
                if self._player is not None:
                    self._player.ended(stream.number)
                self._ack(stream, now, size=message["size"])
        elif kind == "cancel":
            self._cancel(message, now)

    def _cancel(self, message: dict[str, object], now: float) -> None:
        session = str(message["session"])
        last_ns = 0
        for stream in [one for one in self._streams.values() if one.session == session]:
            last_ns = max(last_ns, stream.last_ns)
            stream.cancelled = True
            self._waiting.pop(stream.number, None)
        self._counts.cancels.append((session, time.monotonic_ns(), last_ns))
        which = {key: _of(message, key) for key in ("before", "seq") if key in message}
        ended: list[tuple[str, int, int]] = []
        if self._player is not None:
            ended = self._player.cancelled(session, which.get("before"), which.get("seq"), now)
        self._message({"t": "cleared", "session": session, "utterances": ended, **which})

    def _ack(self, stream: _Stream, now: float, size: object = None) -> None:
        stream.acked_at, stream.unacked = now, 0
        self._waiting.pop(stream.number, None)
        ack = {"t": "ack", "s": stream.number, "upto": stream.upto, "limit": stream.upto + CREDIT, "seen": self._seen}
        self._message(ack if size is None else {**ack, "size": size})

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        now = self._loop.time()
        if now >= self._collected_at:
            for stream in list(self._waiting.values()):
                self._ack(stream, now)
        for stream in list(self._streams.values()):
            if now - stream.acked_at >= IDLE_ACK_S and not stream.cancelled:
                self._ack(stream, now)
        for number, ms, done in () if self._player is None else self._player.reports(now):
            self._message({"t": "played", "s": number, "ms": ms} | ({"done": True} if done else {}))
        self._flush()

    def _message(self, message: dict[str, object]) -> None:
        payload = msgpack.packb(message)
        size = len(payload)
        self._out.append((b"\x82%c" % size if size < 126 else b"\x82\x7e" + size.to_bytes(2, "big")) + payload)

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._send(b"".join(out))


_TERMS: dict[str, object] = {"formats": FORMATS, "keep_ms": 0}


def _of(message: dict[str, object], key: str) -> int:
    return int(str(message[key]))


def _rate(message: dict[str, object]) -> float:
    """Bytes per second of the audio of a stream, which is PCM16 (in a WAV or not)."""
    return _of(message, "rate") * _of(message, "channels") * 2.0


def _unmasked(payload: memoryview, key: memoryview) -> bytes:
    size = len(payload)
    mask = (bytes(key) * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """The msgpack integer at `at`, 0 or more, and where it ends."""
    first = data[at]
    if first < 0x80:
        return first, at + 1
    past = at + 1 + (1 << first - 0xCC)
    return int.from_bytes(data[at + 1 : past], "big"), past
