"""A WebSocket sink with very low cost, in place of OraServer in throughput measurements.

On a plain connection it reads frame lengths and skips the payload. It parses small frames only: `init`, `complete` or a
very small chunk. On a compressed connection it must inflate all frames, because they share one compression window. It
answers pings, and on the same port HTTP `GET /counts`, `GET /arrivals?from=N`, `GET /sessions`, `GET /firsts` and
`GET /cancels`. With `--streams` it selects protocol v2 if that is offered (see `stream_sink.py`).

Prints one JSON line `{"ready": true, "port": N}`, and the counts on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import re
import signal
import time
import zlib
from array import array
from dataclasses import dataclass, field
from typing import cast

import uvloop

from tests.bench.stream_sink import SUBPROTOCOL, StreamSink

READ_BUFFER_BYTES = 1 << 20
SMALL_BYTES = 3 << 10
"""Frames up to this size are parsed. A chunk of 4 KiB (5.6 KB of JSON) is larger, `init` and `complete` are smaller."""

MAX_ARRIVALS = 500_000
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WINDOW_BITS = 12
"""The window bits in a default `websockets` server's answer to an offer of permessage-deflate."""

TEXT, CLOSE, PING = 0x1, 0x8, 0x9
COMPLETE = re.compile(rb'"status":\s*"complete"')
INIT = re.compile(rb'"type":\s*"init"')


@dataclass(slots=True)
class Counts:
    """The counts of all connections. `bytes` is the payload as sent (compressed if compression is on)."""

    connections: int = 0
    chunks: int = 0
    completes: int = 0
    inits: int = 0
    pings: int = 0
    bytes: int = 0
    wire_bytes: int = 0
    """All that came on the WebSockets after their handshakes, with the heads of the frames."""
    frames: int = 0
    """Frames of data."""
    faults: int = 0
    """Frames of audio of v2 that leave a gap, or follow a cancel of their stream."""
    arrivals_ns: array[int] = field(default_factory=lambda: array("q"))
    """CLOCK_MONOTONIC of each chunk's last byte. All processes of a machine have the same clock."""
    sessions_ns: dict[str, array[int]] = field(default_factory=dict)
    """The same for each session."""
    firsts_ns: dict[str, array[int]] = field(default_factory=dict)
    """The arrival of the first chunk (v2: frame) of each utterance, by session. Over v1 one begins after `complete`."""
    cancels: list[tuple[str, int, int]] = field(default_factory=list)
    """Of each cancel over v2: session, arrival, and arrival of the last audio before it (0: there was none)."""

    def first(self, session: str) -> None:
        """The first chunk or frame of an utterance has arrived now."""
        self.firsts_ns.setdefault(session, array("q")).append(time.monotonic_ns())

    def chunk(self, session: str) -> None:
        """Count a chunk whose last byte has arrived now."""
        self.chunks += 1
        if len(self.arrivals_ns) < MAX_ARRIVALS:
            now_ns = time.monotonic_ns()
            self.arrivals_ns.append(now_ns)
            self.sessions_ns[session].append(now_ns)

    def as_map(self) -> dict[str, int]:
        """The counts, and the time of the last chunk."""
        names = ("connections", "chunks", "completes", "inits", "pings", "bytes", "frames", "wire_bytes", "faults")
        return {name: getattr(self, name) for name in names} | {
            "last_chunk_ns": self.arrivals_ns[-1] if self.arrivals_ns else 0
        }


def unmasked(payload: bytes, key: bytes) -> bytes:
    """The payload of a client's frame without the mask."""
    size = len(payload)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")


class Connection(asyncio.BufferedProtocol):
    """One client connection: HTTP until the upgrade, then WebSocket frames."""

    def __init__(self, counts: Counts, *, streams: bool = False, chunk_bytes: int = 0, plays: bool = False) -> None:
        self._counts = counts
        self._offers_streams, self._chunk_bytes, self._plays = streams, chunk_bytes, plays
        self._streams: StreamSink | None = None
        self._buffer = bytearray(READ_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._skip = 0  # bytes of a large frame's header and payload that have not arrived yet
        self._upgraded = False
        self._session = ""
        self._between = True
        """Over v1: the next chunk is the first one of an utterance."""
        self._inflate: zlib._Decompress | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer of v2."""
        if self._streams is not None:
            self._streams.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        """The free part of the buffer, after the bytes that are not parsed yet."""
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the complete frames and move the rest to the front of the buffer."""
        end = self._filled + nbytes
        start = 0 if self._upgraded else self._http(end)
        if self._upgraded:
            self._counts.wire_bytes += nbytes
        if self._streams is not None:
            start = self._streams.frames(self._view, start, end)
        elif self._upgraded:
            start = self._frames(start, end)
        rest = end - start
        if rest and start:
            self._view[:rest] = self._view[start:end]
        if rest == READ_BUFFER_BYTES:
            self._transport.abort()  # a frame or header larger than any valid one
        self._filled = rest

    def _frames(self, at: int, end: int) -> int:
        """Count the frames in the buffer from `at` to `end`; returns the start of the incomplete rest."""
        buffer, counts = self._buffer, self._counts
        while True:
            if self._skip:
                step = min(self._skip, end - at)
                at += step
                self._skip -= step
                if self._skip:
                    return at
                self._chunk()
            available = end - at
            if available < 2:
                return at
            first, size, head = buffer[at], buffer[at + 1] & 0x7F, 6
            if size >= 126:
                head = 8 if size == 126 else 14
                if available < head:
                    return at
                size = int.from_bytes(self._view[at + 2 : at + head - 4], "big")
            if size > SMALL_BYTES and self._inflate is None:
                counts.bytes += size
                counts.frames += 1
                self._skip = head + size
                continue
            if available < head + size:
                return at
            payload_at = at + head
            at = payload_at + size
            key = bytes(self._view[payload_at - 4 : payload_at])
            self._frame(first, unmasked(bytes(self._view[payload_at:at]), key))

    def _frame(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == PING:
            self._counts.pings += 1
            self._transport.write(bytes((0x8A, len(payload))) + payload)
        elif opcode == CLOSE:
            self._transport.write(bytes((0x88, len(payload))) + payload)
            self._transport.close()
        elif opcode == TEXT:
            self._counts.frames += 1
            self._counts.bytes += len(payload)
            if first & 0x40 and self._inflate is not None:
                payload = self._inflate.decompress(payload + b"\x00\x00\xff\xff")
            if len(payload) > SMALL_BYTES:
                self._chunk()
            elif COMPLETE.search(payload):
                self._counts.completes += 1
                self._between = True
            elif INIT.search(payload):
                self._counts.inits += 1
            else:
                self._chunk()

    def _chunk(self) -> None:
        if self._between:
            self._between = False
            self._counts.first(self._session)
        self._counts.chunk(self._session)

    def _http(self, end: int) -> int:
        """Answer the HTTP requests in the buffer up to `end`; returns the start of the rest."""
        at = 0
        while not self._upgraded:
            stop = self._buffer.find(b"\r\n\r\n", at, end)
            if stop < 0:
                return at
            lines = bytes(self._view[at:stop]).decode("latin-1").split("\r\n")
            at = stop + 4
            headers = {name.strip().lower(): value.strip() for name, _, value in (s.partition(":") for s in lines[1:])}
            if "sec-websocket-key" in headers:
                self._upgrade(headers)
            else:
                self._answer(lines[0].split(" ")[1])
        return at

    def _upgrade(self, headers: dict[str, str]) -> None:
        digest = hashlib.sha1(headers["sec-websocket-key"].encode() + WEBSOCKET_GUID, usedforsecurity=False).digest()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
        ]
        if "permessage-deflate" in headers.get("sec-websocket-extensions", ""):
            self._inflate = zlib.decompressobj(wbits=-WINDOW_BITS)
            lines.append(
                "Sec-WebSocket-Extensions: permessage-deflate; "
                f"server_max_window_bits={WINDOW_BITS}; client_max_window_bits={WINDOW_BITS}"
            )
        selects = self._offers_streams and SUBPROTOCOL in headers.get("sec-websocket-protocol", "")
        if selects:
            lines.append(f"Sec-WebSocket-Protocol: {SUBPROTOCOL}")
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._upgraded = True
        if selects:
            self._streams = StreamSink(self._counts, self._chunk_bytes, self._transport.write, plays=self._plays)
        self._session = headers.get("session-id", "")
        self._counts.sessions_ns.setdefault(self._session, array("q"))
        self._counts.connections += 1

    def _answer(self, target: str) -> None:
        path, _, query = target.partition("?")
        status, value = "200 OK", cast(object, None)
        if path == "/counts":
            value = self._counts.as_map()
        elif path == "/arrivals":
            value = self._counts.arrivals_ns[int(query.removeprefix("from=") or 0) :].tolist()
        elif path == "/sessions":
            value = {session: arrivals.tolist() for session, arrivals in self._counts.sessions_ns.items()}
        elif path == "/firsts":
            value = {session: arrivals.tolist() for session, arrivals in self._counts.firsts_ns.items()}
        elif path == "/cancels":
            value = self._counts.cancels
        else:
            status = "404 Not Found"
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--streams", action="store_true", help="speak protocol v2 with a bridge that offers it")
    parser.add_argument(
        "--chunk-bytes", type=int, default=0, help="v2: the size of the load's chunks, which are counted"
    )
    parser.add_argument("--plays", action="store_true", help="v2: play PCM in real time, and report `played`")
    options = parser.parse_args()
    counts, stop = Counts(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(
        lambda: Connection(counts, streams=options.streams, chunk_bytes=options.chunk_bytes, plays=options.plays),
        "127.0.0.1",
        options.port,
    )
    print(json.dumps({"ready": True, "port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()
    print(json.dumps(counts.as_map()), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
