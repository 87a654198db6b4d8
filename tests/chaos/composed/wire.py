"""When each frame and POST of a bridge left it: reads the bytes that pass through the proxy before OraServer."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TEXT = 1


class BridgeTap:
    """Of one connection: the time of the last byte of each text frame (WebSocket) or POST (HTTP), in order."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._buffer = bytearray()
        self._websocket = False
        self._skip = 0
        self._counts = False

    def sent(self, data: bytes, at: float) -> None:
        """Take the next bytes."""
        self._buffer += data
        while self._step(at):
            pass

    def _step(self, at: float) -> bool:
        """Take one piece from the buffer; False when more bytes are needed."""
        if self._skip:
            taken = min(self._skip, len(self._buffer))
            del self._buffer[:taken]
            self._skip -= taken
            if self._skip:
                return False
            self._ended(at)
            return bool(self._buffer)
        return self._frame(at) if self._websocket else self._head(at)

    def _ended(self, at: float) -> None:
        if self._counts:
            self.times.append(at)
        self._counts = False

    def _head(self, at: float) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        if b"upgrade: websocket" in head.lower():
            self._websocket = True
            return bool(self._buffer)
        length = _LENGTH.search(head)
        self._skip, self._counts = int(length[1]) if length else 0, head.startswith(b"POST")
        if not self._skip:
            self._ended(at)
        return bool(self._buffer)

    def _frame(self, at: float) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, begin = buffer[1] & 0x7F, 2
        if size >= 126:
            begin += 2 if size == 126 else 8
            if len(buffer) < begin:
                return False
            size = int.from_bytes(buffer[2:begin], "big")
        self._counts = buffer[0] & 0x0F == _TEXT
        size += 4 if buffer[1] & 0x80 else 0
        del buffer[:begin]
        self._skip = size
        if not size:
            self._ended(at)
        return bool(buffer) or not size
