"""Puts the frames of a WebSocket message together (RFC 6455, 5.4). Pure."""

from __future__ import annotations

from collections.abc import Callable

from websockets.frames import Frame, Opcode

EARLY = 4
"""Messages that are kept until somebody takes them: OraServer's hello comes with its answer to the handshake."""
EARLY_BYTES = 64 << 10
"""The largest message of protocol v2 that OraServer may send. Of a larger one that comes early one byte more is kept,
which shows that it is too large."""
DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


class MessageReader:
    """Passes on each binary message, and None for a text message.

    The sans-I/O protocol limits the size of a message and refuses frames out of order before they come here.
    """

    def __init__(self) -> None:
        self._received: Callable[[bytes | None], None] | None = None
        self._early: list[bytes | None] = []
        self._parts = bytearray()  # not a list: fragments may be empty, and without end
        self._text = False

    @property
    def held_bytes(self) -> int:
        """Bytes of messages that nobody has taken, and of one that is not whole."""
        return len(self._parts) + sum(len(message) for message in self._early if message)

    def pass_to(self, received: Callable[[bytes | None], None]) -> None:
        """Pass the messages to `received` from now on, beginning with those that have come already, at most EARLY."""
        self._received = received
        early, self._early = self._early, []
        for message in early:
            received(message)

    def frame(self, frame: Frame) -> None:
        """Take a data frame."""
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
        if not self._text:
            self._parts += frame.data
            if self._received is None:
                del self._parts[EARLY_BYTES + 1 :]
        if frame.fin:
            message = None if self._text else bytes(self._parts)
            self._parts.clear()
            if self._received is not None:
                self._received(message)
            elif len(self._early) < EARLY:
                self._early.append(message)
