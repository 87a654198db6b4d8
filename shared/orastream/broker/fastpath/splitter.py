"""The server's bytes taken apart where they were read: messages to their subscriptions at once, the rest for nats-py.

The socket reads into this buffer, and a payload is copied once, out of it. Pure: bytes in, calls and bytes out.

Subjects, reply subjects and header blocks are bytes that anybody may send. nats-server (2.15, tried) takes a subject of
any bytes but TAB, LF and space, and a header block of any bytes at all. So a line ends at its first CRLF, its fields
are parted by spaces and tabs alone (`splitArg` of nats-server, but for the CR that a subject may have), and nothing is
decoded here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

BUFFER_BYTES = 256 << 10
LEAST_ROOM_BYTES = 64 << 10
"""What a read is offered at least: a shorter one costs a system call for little."""
MAX_LINE_BYTES = 256 << 10
"""Of a line without its end: the longest that a server sends, INFO of a large cluster, has a tenth of that."""
MAX_MESSAGE_BYTES = 64 << 20
"""Of headers and payload together: nats-server's default for all that waits for one client (`max_pending`)."""
MAX_DIGITS = 50
"""Of the numbers of a line together."""

Deliver = Callable[[int, bytes, bytes, bytes, bytes], None]
"""`(sid, subject, reply, header block, payload)`; must not raise."""

_OTHERS = (b"PING", b"PONG", b"INFO", b"+OK", b"-ERR")
_FIELD = re.compile(rb"[^ \t]+")


class ProtocolError(ConnectionError):
    """Bytes that no NATS server sends: nothing behind them can be trusted, so the connection has to end."""


class Splitter:
    """One connection's incoming bytes: `room()` is where the next ones go, `filled(n)` says how many came."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._at = 0
        self._end = 0
        self._needed = 0
        """Bytes of the operation that has begun, as far as known."""
        self.others = bytearray()
        """Whole operations that are no messages, in their order."""

    def room(self) -> memoryview:
        """Free bytes, enough for what has begun. What was parsed is given up."""
        at, end = self._at, self._end
        rest = end - at
        if rest == 0:
            self._at = self._end = 0
        elif at + max(self._needed, rest + LEAST_ROOM_BYTES) > len(self._buffer):
            begun = self._view[at:end]
            if max(self._needed, rest + LEAST_ROOM_BYTES) > len(self._buffer):
                # Not resized in place: whoever reads may still hold a view of the old one.
                self._buffer = bytearray(self._needed + rest + LEAST_ROOM_BYTES)
                self._view = memoryview(self._buffer)
            self._view[:rest] = begun
            self._at, self._end = 0, rest
        return self._view[self._end :]

    def filled(self, count: int) -> None:
        """Deliver what is whole now; what has only begun waits for the next read. Raises ProtocolError.

        What stands before the error is delivered. After the error this instance reads nothing more.
        """
        self._end += count
        buffer, view, deliver = self._buffer, self._view, self._deliver
        at, most, self._needed = self._at, self._end, 0
        try:
            while at < most:
                line_end = buffer.find(b"\r\n", at, most)
                if line_end < 0:
                    if most - at > MAX_LINE_BYTES:
                        raise ProtocolError(f"a line of more than {MAX_LINE_BYTES} bytes")
                    break
                end = line_end + 2
                line = view[at:line_end].tobytes()
                if line.startswith(_OTHERS):
                    self.others += view[at:end]
                    at = end
                    continue
                sid, subject, reply, header_size, size = parse_line(line)
                payload, whole = end + header_size, end + size + 2
                if whole > most:
                    self._needed = whole - at
                    break
                if buffer[whole - 2] != 13 or buffer[whole - 1] != 10:  # CRLF
                    raise ProtocolError(f"a message is not {size} bytes long, as its line says")
                block = view[end:payload].tobytes() if header_size else b""
                at = whole
                deliver(sid, subject, reply, block, view[payload : whole - 2].tobytes())
        finally:
            self._at = at

    def take(self) -> bytes:
        """Everything that is no message so far."""
        others = bytes(self.others)
        self.others.clear()
        return others

    def take_line(self) -> bytes:
        """The first line of what is no message, or nothing when there is none."""
        line = bytes(self.others[: self.others.find(b"\n") + 1])
        del self.others[: len(line)]
        return line

    def split(self, data: bytes) -> bytes:
        """`data` taken apart; gives what is no message. For bytes that someone else has read. Raises ProtocolError."""
        at = 0
        while at < len(data):
            room = self.room()
            piece = data[at : at + len(room)]
            room[: len(piece)] = piece
            self.filled(len(piece))
            at += len(piece)
        return self.take()


def parse_line(line: bytes) -> tuple[int, bytes, bytes, int, int]:
    """`(sid, subject, reply, bytes of the header block, bytes of both)` of MSG or HMSG. Raises ProtocolError."""
    fields = line.split(b" ")  # as nats-server writes it, and four times as fast as a pattern
    if b"" in fields or b"\t" in line:
        fields = _FIELD.findall(line)
    count, headed = len(fields), fields[:1] == [b"HMSG"]
    if not (4 + headed <= count <= 5 + headed and (headed or fields[0] == b"MSG")):
        raise ProtocolError(f"no operation of NATS: {line[:40]!r}")
    sid, size, header_size = fields[2], fields[-1], fields[-2] if headed else b"0"
    # int() would take a sign, white space and underscores too.
    if not (sid.isdigit() and size.isdigit() and header_size.isdigit() and len(sid + size + header_size) < MAX_DIGITS):
        raise ProtocolError(f"no numbers where a message line has them: {line[-40:]!r}")
    whole, headers = int(size), int(header_size)
    if headers > whole or whole > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {whole} bytes, {headers} of them headers")
    return int(sid), fields[1], fields[3] if count == 5 + headed else b"", headers, whole
