"""The server's bytes taken apart where they were read: messages of direct subscriptions at once, the rest for nats-py.

The socket reads into this buffer, and a payload is copied once, out of it. Pure: bytes in, calls and bytes out.
"""

from __future__ import annotations

from collections.abc import Callable

BUFFER_BYTES = 256 << 10
LEAST_ROOM_BYTES = 64 << 10
"""What a read is offered at least: a shorter one costs a system call for little."""

Deliver = Callable[[int, bytes, bytes, bytes, bytes], bool]
"""`(sid, subject, reply, header block, payload)`; False when nobody takes messages of this subscription here."""


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
        """Whole operations that are not ours, in their order."""

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
        """Deliver what is whole now; what has only begun waits for the next read."""
        self._end += count
        buffer, view, deliver = self._buffer, self._view, self._deliver
        at, most, self._needed = self._at, self._end, 0
        while at < most:
            line_end = buffer.find(b"\r\n", at, most)
            if line_end < 0:
                break
            end = line_end + 2
            fields = view[at:line_end].tobytes().split()
            op = fields[0] if len(fields) > 3 else b""
            if op == b"HMSG":
                payload, whole = end + int(fields[-2]), end + int(fields[-1]) + 2
                if whole > most:
                    self._needed = whole - at
                    break
                reply = fields[3] if len(fields) == 6 else b""
                block = view[end:payload].tobytes()
                taken = deliver(int(fields[2]), fields[1], reply, block, view[payload : whole - 2].tobytes())
            elif op == b"MSG":
                whole = end + int(fields[-1]) + 2
                if whole > most:
                    self._needed = whole - at
                    break
                reply = fields[3] if len(fields) == 5 else b""
                taken = deliver(int(fields[2]), fields[1], reply, b"", view[end : whole - 2].tobytes())
            else:
                taken, whole = False, end
            if not taken:
                self.others += view[at:whole]
            at = whole
        self._at = at

    def take(self) -> bytes:
        """Everything that is not ours so far."""
        others = bytes(self.others)
        self.others.clear()
        return others

    def take_line(self) -> bytes:
        """The first line of what is not ours, or nothing when there is none."""
        line = bytes(self.others[: self.others.find(b"\n") + 1])
        del self.others[: len(line)]
        return line

    def split(self, data: bytes) -> bytes:
        """`data` taken apart; gives what is not ours. For bytes that were read by someone else."""
        at = 0
        while at < len(data):
            room = self.room()
            piece = data[at : at + len(room)]
            room[: len(piece)] = piece
            self.filled(len(piece))
            at += len(piece)
        return self.take()
