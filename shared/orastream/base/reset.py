"""Ends a TCP connection so that the peer gets no more bytes. A file of its own, because both bridges need it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast

_RESET, _NO_RESET = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


def reset(transport: asyncio.BaseTransport) -> None:
    """End the connection with a reset, and drop the bytes that were not sent, also those in the kernel's send buffer.

    After a plain `abort()` the kernel would still send its buffer. Does nothing if the transport is closing already.
    """
    if transport.is_closing():
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        reset_on_close(sock, on=True)
    cast(asyncio.Transport, transport).abort()  # uvloop's transports have another base class


def reset_on_close(sock: socket.socket, *, on: bool) -> None:
    """Whether the end of the connection is a reset, as `reset` describes, whoever ends it: also the end of the process.

    `sock` is a socket, or what a transport gives as its "socket". Raises OSError if it is closed.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET if on else _NO_RESET)
