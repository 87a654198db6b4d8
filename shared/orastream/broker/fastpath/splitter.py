"""Splits the server's bytes: messages go to their subscriptions at once, other operations are kept for nats-py.

The socket is read into this buffer, and each payload is copied once, out of it. Pure: bytes in, calls and bytes out.

Anybody may choose the bytes of subjects, reply subjects and header blocks. nats-server (tried with 2.15) accepts every
byte in a subject except TAB, LF and space, and every byte in a header block. So a line ends at its first CRLF, and only
spaces and tabs separate its fields (as in nats-server's `splitArg`, except that a subject may have a CR). Nothing is
decoded here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

BUFFER_BYTES = 256 << 10
LEAST_ROOM_BYTES = 64 << 10
"""Minimum space for a read: less would cost more system calls."""
MAX_LINE_BYTES = 256 << 10
"""Limit of a line without its end. A server's longest line, INFO of a large cluster, has a tenth of it."""
MAX_MESSAGE_BYTES = 64 << 20
"""Limit of headers and payload together: nats-server's default for all bytes pending for a client (`max_pending`)."""
MAX_DIGITS = 50
"""Limit for all numbers of a line together: `int` is slow on, or refuses, very long ones."""

Deliver = Callable[[int, bytes, bytes, bytes, bytes], None]
"""`(sid, subject, reply, header block, payload)`; must not raise."""

_OTHERS = (b"PING", b"PONG", b"INFO", b"+OK", b"-ERR")
_FIELD = re.compile(rb"[^ \t]+")


class ProtocolError(ConnectionError):
    """Bytes that no NATS server sends. What follows them cannot be parsed, so the connection must be closed."""


class Splitter:
    """The incoming bytes of one connection. Write them into `room()`, then call `filled(n)`. Not thread-safe."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._at = 0
        self._end = 0
        self._needed = 0
        """Size of the incomplete operation, in bytes; 0 while unknown."""
        self.others = bytearray()
        """Complete operations other than messages, in their order."""

    def room(self) -> memoryview:
        """Return free space, enough for the rest of the incomplete operation. Reuses the space of parsed bytes."""
        at, end = self._at, self._end
        rest = end - at
        if rest == 0:
            self._at = self._end = 0
        elif at + max(self._needed, rest + LEAST_ROOM_BYTES) > len(self._buffer):
            begun = self._view[at:end]
            if max(self._needed, rest + LEAST_ROOM_BYTES) > len(self._buffer):
                # A new buffer: a bytearray with a view on it cannot be resized, and the reader may hold one.
                self._buffer = bytearray(self._needed + rest + LEAST_ROOM_BYTES)
                self._view = memoryview(self._buffer)
            self._view[:rest] = begun
            self._at, self._end = 0, rest
        return self._view[self._end :]

    def filled(self, count: int) -> None:
        """Deliver the messages that are complete after `count` more bytes. Raises ProtocolError.

        Messages before the error are delivered. After it the instance must not be used any more.
        """
        self._end += count
        buffer, view, deliver = self._buffer, self._view, self._deliver
        at, limit, self._needed = self._at, self._end, 0
        try:
            while at < limit:
                line_end = buffer.find(b"\r\n", at, limit)
                if line_end < 0:
                    if limit - at > MAX_LINE_BYTES:
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
                if whole > limit:
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
        """Return and remove all operations other than messages."""
        others = bytes(self.others)
        self.others.clear()
        return others

    def take_line(self) -> bytes:
        """Return and remove the first operation other than a message; b"" if there is none."""
        line = bytes(self.others[: self.others.find(b"\n") + 1])
        del self.others[: len(line)]
        return line

    def split(self, data: bytes) -> bytes:
        """Deliver the messages in `data`, which was read elsewhere; return other operations. Raises ProtocolError."""
        at = 0
        while at < len(data):
            room = self.room()
            piece = data[at : at + len(room)]
            room[: len(piece)] = piece
            self.filled(len(piece))
            at += len(piece)
        return self.take()


def parse_line(line: bytes) -> tuple[int, bytes, bytes, int, int]:
    """Return `(sid, subject, reply, header size, total size)` of MSG or HMSG, sizes in bytes. Raises ProtocolError."""
    fields = line.split(b" ")  # the form that nats-server writes; four times as fast as a pattern
    if b"" in fields or b"\t" in line:
        fields = _FIELD.findall(line)
    count, headed = len(fields), fields[:1] == [b"HMSG"]
    if not (4 + headed <= count <= 5 + headed and (headed or fields[0] == b"MSG")):
        raise ProtocolError(f"not an operation of NATS: {line[:40]!r}")
    sid, size, header_size = fields[2], fields[-1], fields[-2] if headed else b"0"
    # int() would also accept a sign, white space and underscores.
    if not (sid.isdigit() and size.isdigit() and header_size.isdigit() and len(sid + size + header_size) < MAX_DIGITS):
        raise ProtocolError(f"a message line with invalid numbers: {line[-40:]!r}")
    whole, headers = int(size), int(header_size)
    if headers > whole or whole > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {whole} bytes, {headers} of them headers")
    return int(sid), fields[1], fields[3] if count == 5 + headed else b"", headers, whole
